//! Takes the terminal over, and gives it back whatever happens.

use std::{
    io::{self, IsTerminal as _, Stdout, stdout},
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
use ratatui::{Terminal, backend::CrosstermBackend};

type Hook = dyn Fn(&PanicHookInfo<'_>) + Send + Sync;

/// Raw mode and the alternate screen for as long as it lives.
///
/// A panic of the thread that made it gives the terminal back before the panic message is written,
/// so that the message can be read. Panics of other threads leave the screen alone: the table goes
/// on.
#[must_use = "the terminal is given back when the guard is dropped"]
pub struct TerminalGuard {
    terminal: Terminal<CrosstermBackend<Stdout>>,
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
        let screen = execute!(stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
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
            terminal,
            taken,
            hook_before,
        })
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
