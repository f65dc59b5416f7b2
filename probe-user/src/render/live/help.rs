//! The help, over everything else.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::{column::Column, theme::Theme};
use crate::render::Charset;

const KEYS: [(&str, &str); 9] = [
    ("q, Ctrl-C", "quit"),
    (
        "s, <, >",
        "sort by the next or the previous column (also left, right)",
    ),
    ("1 to 8", "sort by that column"),
    ("r", "reverse the order"),
    ("/", "show only names that contain a text"),
    ("h", "show or hide host services"),
    ("p, Space", "pause and resume"),
    (
        "up, down",
        "select a container (also PgUp, PgDn, Home, End)",
    ),
    ("Esc", "clear the selection, then the filter"),
];

const ASCII_BORDER: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// Draws the help in the middle of the screen.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: &Theme) {
    let lines = lines(theme);
    let width = lines.iter().map(Line::width).max().unwrap_or(0) + 4;
    let (width, height) = (
        u16::try_from(width).unwrap_or(u16::MAX),
        lines.len() as u16 + 2,
    );
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    let border = match theme.charset {
        Charset::Unicode => border::ROUNDED,
        Charset::Ascii => ASCII_BORDER,
    };
    let block = Block::bordered()
        .border_set(border)
        .border_style(theme.dim)
        .title(Span::styled(" help ", theme.brand))
        .title_bottom(Line::styled(" any key closes ", theme.dim).right_aligned());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn lines(theme: &Theme) -> Vec<Line<'static>> {
    let line = |name: String, meaning: &'static str| {
        Line::from(vec![
            Span::styled(format!(" {name:<15} "), theme.key),
            Span::raw(meaning),
        ])
    };
    let keys = KEYS.map(|(key, does)| line(key.into(), does));
    let columns = Column::ALL
        .into_iter()
        .enumerate()
        .map(|(i, column)| line(format!("{} {}", i + 1, column.title()), column.meaning()));
    keys.into_iter()
        .chain([Line::default()])
        .chain(columns)
        .collect()
}
