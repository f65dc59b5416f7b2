//! The live table: what `nodeprobe agent` and `nodeprobe top` show on a terminal.
//!
//! Owns the screen while it runs. Takes pictures ([`LiveView`]) from a closure and decides nothing
//! about how they are made; keys change only what is shown.

mod cells;
mod column;
mod draw;
mod footer;
mod header;
mod help;
mod keys;
mod state;
mod terminal;
mod theme;

use std::{
    io,
    time::{Duration, Instant},
};

use crossterm::event::{self, Event};

pub use column::Column;
pub use draw::draw;
pub use keys::Action;
pub use state::UiState;
pub use terminal::TerminalGuard;
pub use theme::Theme;

use super::view::LiveView;

/// How long to wait for a key before `stop` is asked again.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// Shows pictures until the user quits or `stop` says so, and leaves the terminal as it was.
///
/// `next` is called at once and then after each `interval`, but not while the user has paused the
/// table; the rates of the picture after a pause are then averages over the pause.
///
/// # Errors
///
/// Those of the terminal, and that there is none.
pub fn run_live(
    mut next: impl FnMut() -> LiveView,
    interval: Duration,
    stop: impl Fn() -> bool,
    theme: &Theme,
) -> io::Result<()> {
    let mut guard = TerminalGuard::enter()?;
    let mut state = UiState::default();
    let mut view = next();
    let mut due = Instant::now() + interval;
    guard
        .terminal()
        .draw(|frame| draw(frame, &view, &mut state, theme))?;
    while !stop() {
        let mut redraw = false;
        if event::poll(
            due.saturating_duration_since(Instant::now())
                .min(STOP_CHECK),
        )? {
            match event::read()? {
                Event::Key(key) => match state.on_key(key) {
                    Action::Quit => break,
                    Action::Redraw => redraw = true,
                    Action::Ignore => {}
                },
                Event::Resize(..) => redraw = true,
                _ => {}
            }
        }
        if Instant::now() >= due {
            if !state.paused() {
                view = next();
                redraw = true;
            }
            due = Instant::now() + interval;
        }
        if redraw {
            guard
                .terminal()
                .draw(|frame| draw(frame, &view, &mut state, theme))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
