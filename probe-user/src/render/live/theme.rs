//! Colours of the live table.

use ratatui::style::{Color, Modifier, Style};

use crate::render::Charset;

/// Styles by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Which characters can be shown.
    pub charset: Charset,
    pub(super) brand: Style,
    pub(super) text: Style,
    pub(super) name: Style,
    pub(super) dim: Style,
    pub(super) heading: Style,
    pub(super) sorted: Style,
    pub(super) selected: Style,
    pub(super) key: Style,
    pub(super) good: Style,
    pub(super) warm: Style,
    pub(super) hot: Style,
}

impl Theme {
    /// For terminals with colours: the sixteen that every terminal has and every user may have
    /// adapted.
    pub fn colour(charset: Charset) -> Self {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Self {
            charset,
            brand: bold.fg(Color::Cyan),
            text: Style::new(),
            name: bold,
            dim: Style::new().fg(Color::DarkGray),
            heading: bold.fg(Color::Gray),
            sorted: bold.fg(Color::Cyan),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            key: bold.fg(Color::Cyan),
            good: Style::new().fg(Color::Green),
            warm: Style::new().fg(Color::Yellow),
            hot: bold.fg(Color::Red),
        }
    }

    /// For `NO_COLOR`: weight and reversal only.
    pub fn plain(charset: Charset) -> Self {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let dim = Style::new().add_modifier(Modifier::DIM);
        Self {
            charset,
            brand: bold,
            text: Style::new(),
            name: Style::new(),
            dim,
            heading: bold,
            sorted: bold.add_modifier(Modifier::UNDERLINED),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            key: bold,
            good: Style::new(),
            warm: bold,
            hot: bold.add_modifier(Modifier::UNDERLINED),
        }
    }
}
