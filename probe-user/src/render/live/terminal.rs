//! Takes the terminal over, and gives it back whatever happens.

use std::{
    io::{self, IsTerminal as _, Stdout, stdout},
    mem::ManuallyDrop,
    panic::{self, PanicHookInfo},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crossterm::{
    cursor::Show,
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};
use rustix::termios::tcgetwinsize;

/// Columns and rows of a terminal that does not report its size, as `ssh -tt` and CI make them.
const UNSIZED: (u16, u16) = (80, 24);

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// Raw mode and the alternate screen for as long as it lives.
///
/// A panic of the thread that made it gives the terminal back before the panic message is written,
/// so that the message can be read. Panics of other threads leave the screen alone: the table goes
/// on.
#[must_use = "the terminal is given back when the guard is dropped"]
pub struct TerminalGuard {
    /// Never dropped: it would report a cursor that it cannot show on standard error, and panic where that is gone as well.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// What the terminal is drawn on as.
    area: Rect,
    taken: Arc<Taken>,
    hook_before: Arc<Hook>,
}

/// Whether the terminal still has to be given back.
struct Taken(AtomicBool);

impl TerminalGuard {
    /// Takes over the terminal on standard output.
    ///
    /// # Errors
    ///
    /// That standard output is no terminal, or that it refuses.
    pub fn enter() -> io::Result<Self> {
        // Raw mode alone would not notice: it finds the controlling terminal by itself.
        if !stdout().is_terminal() {
            return Err(io::Error::other("standard output is not a terminal"));
        }
        enable_raw_mode()?;
        let taken = Arc::new(Taken(AtomicBool::new(true)));
        let area = area();
        let screen = execute!(stdout(), EnterAlternateScreen).and_then(|()| {
            let viewport = Viewport::Fixed(area);
            let backend = CrosstermBackend::new(stdout());
            Terminal::with_options(backend, TerminalOptions { viewport })
        });
        let terminal = screen.inspect_err(|_| taken.give_back())?;
        let hook_before: Arc<Hook> = Arc::from(panic::take_hook());
        let (owner, hook, hook_taken) =
            (thread::current().id(), hook_before.clone(), taken.clone());
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == owner {
                hook_taken.give_back();
            }
            hook(info);
        }));
        Ok(Self {
            terminal: ManuallyDrop::new(terminal),
            area,
            taken,
            hook_before,
        })
    }

    /// Follows the size of the terminal; answers whether it has changed.
    ///
    /// # Errors
    ///
    /// Those of writing to the terminal.
    pub fn follow_size(&mut self) -> io::Result<bool> {
        let area = area();
        if area == self.area {
            return Ok(false);
        }
        self.area = area;
        self.terminal.resize(area)?;
        Ok(true)
    }

    /// The terminal to draw on.
    pub fn terminal(&mut self) -> &mut Terminal<CrosstermBackend<Stdout>> {
        &mut self.terminal
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        self.taken.give_back();
        // A panicking thread must not change the hook.
        if !thread::panicking() {
            let hook = self.hook_before.clone();
            panic::set_hook(Box::new(move |info| hook(info)));
        }
    }
}

/// The whole terminal.
fn area() -> Rect {
    let size = tcgetwinsize(stdout()).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    let (columns, rows) = sized(size);
    Rect::new(0, 0, columns, rows)
}

/// The size to draw for, where a terminal reports this one.
fn sized((columns, rows): (u16, u16)) -> (u16, u16) {
    let or = |reported, default| if reported == 0 { default } else { reported };
    (or(columns, UNSIZED.0), or(rows, UNSIZED.1))
}

/// Gives back the modes of the terminal from another thread than the one that draws, which is stuck in a write to it.
pub fn restore_modes() {
    disable_raw_mode().ok();
}

impl Taken {
    /// Restores the terminal once. Errors are ignored: nobody is left to be told, and the terminal
    /// may be gone.
    fn give_back(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            disable_raw_mode().ok();
            execute!(stdout(), LeaveAlternateScreen, Show).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_a_size_is_drawn_as_an_ordinary_one() {
        assert_eq!(sized((0, 0)), UNSIZED);
        assert_eq!(sized((132, 0)), (132, 24));
        assert_eq!(sized((100, 40)), (100, 40));
    }
}
