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
mod keyboard;
mod keys;
mod state;
mod terminal;
mod theme;

use std::{
    io,
    time::{Duration, Instant},
};

use rustix::io::Errno;

pub use column::Column;
pub use draw::draw;
pub use keys::Action;
pub use state::UiState;
pub use terminal::{TerminalGuard, restore_modes};
pub use theme::Theme;

use self::keyboard::{Input, Keyboard};
use super::view::LiveView;

/// How long to wait for a key before `stop` and the size of the terminal are looked at again.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// Why the live table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The user left it, or `stop` said so.
    Left,
    /// The terminal is gone: the connection broke, or its window was closed.
    HungUp,
}

/// Shows pictures until the user quits, `stop` says so or the terminal is gone, and leaves the terminal as it was.
///
/// `next` is called at once and then after each `interval`, but not while the user has paused the
/// table; the rates of the picture after a pause are then averages over the pause.
///
/// # Errors
///
/// Those of the terminal, and that there is none.
pub fn run_live(
    next: impl FnMut() -> LiveView,
    interval: Duration,
    stop: impl Fn() -> bool,
    theme: &Theme,
) -> io::Result<Ended> {
    match show(next, interval, stop, theme) {
        // A terminal that is gone answers writes so.
        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => Ok(Ended::HungUp),
        other => other,
    }
}

fn show(
    mut next: impl FnMut() -> LiveView,
    interval: Duration,
    stop: impl Fn() -> bool,
    theme: &Theme,
) -> io::Result<Ended> {
    let mut guard = TerminalGuard::enter()?;
    let mut keyboard = Keyboard::default();
    let mut state = UiState::default();
    let mut view = next();
    let mut due = Instant::now() + interval;
    guard
        .terminal()
        .draw(|frame| draw(frame, &view, &mut state, theme))?;
    while !stop() {
        let rest = due.saturating_duration_since(Instant::now());
        let Input::Keys(keys) = keyboard.wait(rest.min(STOP_CHECK))? else {
            return Ok(Ended::HungUp);
        };
        let mut redraw = guard.follow_size()?;
        for key in keys {
            match state.on_key(key) {
                Action::Quit => return Ok(Ended::Left),
                Action::Redraw => redraw = true,
                Action::Ignore => {}
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
    Ok(Ended::Left)
}

#[cfg(test)]
mod tests;
