//! The lines below the live table: the selected container, keys, and what was lost.

use ratatui::{
    layout::Rect,
    text::{Line, Span},
};

use super::{
    header::{Part, join},
    state::UiState,
    theme::Theme,
};
use crate::render::{
    format::{count, rate},
    text::{safe, shorten_middle},
    view::{ContainerRef, LiveRow, LiveView},
};

const SHORT_ID: usize = 12;

/// Lines that the footer takes on a screen of this height.
pub(super) fn height(state: &UiState, screen: u16) -> u16 {
    if state.selected.is_some() && screen > 3 {
        2
    } else {
        1
    }
}

/// The footer for its area.
pub(super) fn lines(
    view: &LiveView,
    rows: &[&LiveRow],
    state: &UiState,
    area: Rect,
    theme: &Theme,
) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    if area.height > 1 {
        let selected = rows.iter().find(|row| state.is_selected(row));
        lines
            .push(selected.map_or_else(Line::default, |row| details(&row.container, width, theme)));
    }
    let mut parts = vec![(0, loss(view, theme))];
    parts.extend(position(rows.len(), state, theme));
    parts.extend(if state.typing {
        prompt(state, theme)
    } else {
        keys(state, theme)
    });
    lines.push(join(parts, width));
    lines
}

/// All that is known of the selected container.
fn details(container: &ContainerRef, width: usize, theme: &Theme) -> Line<'static> {
    let id = container
        .id
        .as_deref()
        .map(|id| id.chars().take(SHORT_ID).collect::<String>());
    let parts = [
        container.runtime.map(str::to_owned),
        id,
        container.cgroup.clone(),
    ];
    let mut text = container.display_name();
    for part in parts.into_iter().flatten() {
        text.push_str("  ");
        text.push_str(&part);
    }
    let text = shorten_middle(&safe(&text, theme.charset), width, theme.charset);
    Line::styled(text, theme.dim)
}

fn loss(view: &LiveView, theme: &Theme) -> Line<'static> {
    let header = &view.header;
    let total = count(header.lost_total);
    if header.lost_per_second > 0.0 {
        let text = format!("LOST {}/s, {total} in total", rate(header.lost_per_second));
        return Line::styled(text, theme.hot);
    }
    if header.lost_total > 0 {
        return Line::styled(format!("lost 0/s, {total} in total"), theme.warm);
    }
    Line::styled("lost 0", theme.good)
}

fn position(rows: usize, state: &UiState, theme: &Theme) -> Option<Part<'static>> {
    let shown = state.on_screen(rows);
    (shown.len() < rows).then(|| {
        let text = format!("{}-{} of {rows}", shown.start + 1, shown.end);
        (1, Line::styled(text, theme.dim))
    })
}

fn prompt(state: &UiState, theme: &Theme) -> Vec<Part<'static>> {
    let filter = safe(&state.filter, theme.charset);
    let line = Line::from(vec![
        Span::styled("filter: ", theme.key),
        Span::styled(filter, theme.name),
        Span::styled("_", theme.key),
    ]);
    vec![
        (0, line),
        (2, key("Enter", "keep", theme)),
        (2, key("Esc", "clear", theme)),
    ]
}

fn keys(state: &UiState, theme: &Theme) -> Vec<Part<'static>> {
    let host = if state.show_host {
        "hide host"
    } else {
        "show host"
    };
    let pause = if state.paused { "resume" } else { "pause" };
    let filter = if state.filter.is_empty() {
        (4, key("/", "filter", theme))
    } else {
        (1, key("/", &safe(&state.filter, theme.charset), theme))
    };
    vec![
        (2, key("q", "quit", theme)),
        (2, key("?", "help", theme)),
        (5, key("s", "sort", theme)),
        (6, key("r", "reverse", theme)),
        filter,
        (8, key("h", host, theme)),
        (7, key("p", pause, theme)),
    ]
}

fn key(name: &'static str, does: &str, theme: &Theme) -> Line<'static> {
    Line::from(vec![
        Span::styled(name, theme.key),
        Span::styled(format!(" {does}"), theme.dim),
    ])
}
