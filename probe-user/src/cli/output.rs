//! Standard output: plain writes whose failure is an answer, and whether to colour.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal, Write as _},
};

/// Writes text to standard output.
///
/// # Errors
///
/// As the system says; a reader that has gone is a broken pipe.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Whether a stream wants colours: a terminal, and no `NO_COLOR`.
pub fn style_wanted(stream: &impl IsTerminal) -> bool {
    wanted(stream.is_terminal(), env::var_os("NO_COLOR").as_deref())
}

/// Columns of the terminal at standard output, within reason; 100 where there is none.
pub fn width() -> usize {
    const NARROWEST: usize = 60;
    const WIDEST: usize = 120;
    if !io::stdout().is_terminal() {
        return 100;
    }
    crossterm::terminal::size().map_or(100, |(columns, _)| {
        usize::from(columns).clamp(NARROWEST, WIDEST)
    })
}

fn wanted(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        assert!(wanted(true, None));
        assert!(wanted(true, Some(OsStr::new(""))));
        assert!(!wanted(true, Some(OsStr::new("1"))));
        assert!(!wanted(false, None));
    }
}
