//! What standard output can show: its width, escape sequences and characters.

use std::{
    env,
    io::{self, IsTerminal},
};

use crate::render::{Charset, Look};

/// Columns of a terminal that does not report its size, as `ssh -tt` and CI make them.
const UNSIZED: usize = 80;
/// Columns where there is no terminal: wide, but one long name does not pad every row without end.
const WIDE: usize = 240;

/// What standard output can show.
pub(super) fn look() -> Look {
    let stdout = io::stdout();
    Look {
        width: columns(),
        colour: style_wanted(&stdout),
        charset: charset(),
    }
}

/// Columns at standard output: those of the terminal, else `COLUMNS`, else a default.
pub fn columns() -> usize {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal().then(|| {
        let size = rustix::termios::tcgetwinsize(&stdout);
        size.map_or(0, |size| usize::from(size.ws_col))
    });
    width(terminal, variable("COLUMNS").as_deref())
}

/// Whether a stream takes colours: a terminal that understands escape sequences, and no `NO_COLOR`.
pub fn style_wanted(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !is_dumb() && variable("NO_COLOR").is_none()
}

/// Whether the terminal understands no escape sequences: `TERM` is `dumb` or not set.
pub(super) fn is_dumb() -> bool {
    variable("TERM").is_none_or(|term| term == "dumb")
}

/// UTF-8 where the locale says so, and where it says nothing.
pub(super) fn charset() -> Charset {
    let locale = variable("LC_ALL")
        .or_else(|| variable("LC_CTYPE"))
        .or_else(|| variable("LANG"));
    charset_of(locale.as_deref())
}

/// An environment variable that is set to something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// `terminal` is what the terminal reports, 0 where it does not know; `None` where there is none.
fn width(terminal: Option<usize>, variable: Option<&str>) -> usize {
    let said = variable.and_then(|text| text.trim().parse().ok());
    let default = if terminal.is_some() { UNSIZED } else { WIDE };
    terminal
        .filter(|columns| *columns > 0)
        .or(said.filter(|columns| *columns > 0))
        .unwrap_or(default)
}

fn charset_of(locale: Option<&str>) -> Charset {
    let utf8 = |locale: &str| {
        let locale = locale.to_ascii_lowercase().replace('-', "");
        locale.contains("utf8")
    };
    if locale.is_none_or(utf8) {
        Charset::Unicode
    } else {
        Charset::Ascii
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_a_size_has_eighty_columns_unless_the_environment_says_more() {
        assert_eq!(width(Some(120), Some("90")), 120);
        assert_eq!(width(Some(0), None), 80);
        assert_eq!(width(Some(0), Some("132")), 132);
        assert_eq!(width(Some(0), Some("0")), 80);
    }

    #[test]
    fn a_pipe_is_wide_unless_the_environment_says_how_wide() {
        assert_eq!(width(None, None), WIDE);
        assert_eq!(width(None, Some("100")), 100);
        assert_eq!(width(None, Some("many")), WIDE);
    }

    #[test]
    fn characters_follow_the_locale() {
        assert_eq!(charset_of(None), Charset::Unicode);
        assert_eq!(charset_of(Some("en_GB.UTF-8")), Charset::Unicode);
        assert_eq!(charset_of(Some("C.utf8")), Charset::Unicode);
        assert_eq!(charset_of(Some("C")), Charset::Ascii);
        assert_eq!(charset_of(Some("de_DE.ISO-8859-1")), Charset::Ascii);
    }
}
