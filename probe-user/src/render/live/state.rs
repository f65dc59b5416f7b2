//! What the user has chosen to see.

use std::ops::Range;

use super::column::Column;
use crate::render::view::{LiveRow, LiveView};

/// Choices of the user, and which part of the table is on the screen.
#[derive(Clone, Debug)]
pub struct UiState {
    pub(super) sort: Column,
    pub(super) reverse: bool,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: bool,
    pub(super) show_host: bool,
    pub(super) paused: bool,
    pub(super) help: bool,
    /// Which row is selected, by [`key`]: the selection follows its container when the order
    /// changes.
    pub(super) selected: Option<String>,
    /// Where the selected row was last.
    cursor: usize,
    /// Rows by which to move the selection at the next drawing, when their order is known.
    pub(super) moves: isize,
    offset: usize,
    /// Rows that fit on the screen.
    pub(super) page: usize,
}

impl Default for UiState {
    fn default() -> Self {
        Self {
            sort: Column::Cpu,
            reverse: false,
            filter: String::new(),
            typing: false,
            show_host: true,
            paused: false,
            help: false,
            selected: None,
            cursor: 0,
            moves: 0,
            offset: 0,
            page: 1,
        }
    }
}

impl UiState {
    /// Whether the user has stopped the pictures.
    pub fn paused(&self) -> bool {
        self.paused
    }

    /// The rows that match, in order. Moves the selection, and the part that is on the screen along
    /// with it.
    pub(super) fn arrange<'a>(&mut self, view: &'a LiveView, page: usize) -> Vec<&'a LiveRow> {
        let filter = self.filter.to_lowercase();
        let matches = |row: &&LiveRow| {
            (self.show_host || !row.container.is_host())
                && row
                    .container
                    .display_name()
                    .to_lowercase()
                    .contains(&filter)
        };
        let mut rows: Vec<&LiveRow> = view.rows.iter().filter(matches).collect();
        rows.sort_by(|a, b| self.compare(a, b));
        self.page = page.max(1);
        self.move_selection(&rows);
        self.scroll(rows.len());
        rows
    }

    /// Which of the arranged rows are on the screen.
    pub(super) fn on_screen(&self, rows: usize) -> Range<usize> {
        let start = self.offset.min(rows);
        start..start.saturating_add(self.page).min(rows)
    }

    /// Whether a row is the selected one.
    pub(super) fn is_selected(&self, row: &LiveRow) -> bool {
        self.selected.as_deref() == Some(key(row).as_str())
    }

    fn compare(&self, a: &LiveRow, b: &LiveRow) -> std::cmp::Ordering {
        let order = self.sort.compare(a, b);
        let order = if self.reverse { order.reverse() } else { order };
        order
            .then_with(|| Column::Syscalls.compare(a, b))
            .then_with(|| Column::Container.compare(a, b))
    }

    fn move_selection(&mut self, rows: &[&LiveRow]) {
        let moves = std::mem::take(&mut self.moves);
        let Some(last) = rows.len().checked_sub(1) else {
            return;
        };
        let at = match &self.selected {
            // A container that has gone leaves the selection to the row that took its place.
            Some(selected) => rows
                .iter()
                .position(|row| key(row) == *selected)
                .unwrap_or(self.cursor),
            None if moves == 0 => return,
            // The first key press selects the row at the edge of the screen.
            None if moves > 0 => self.offset.saturating_add_signed(moves - 1),
            None => self.offset,
        };
        let moves = if self.selected.is_some() { moves } else { 0 };
        self.cursor = at.saturating_add_signed(moves).min(last);
        self.selected = rows.get(self.cursor).map(|row| key(row));
    }

    fn scroll(&mut self, rows: usize) {
        if self.selected.is_some() {
            let first = (self.cursor + 1).saturating_sub(self.page);
            self.offset = self.offset.clamp(first, self.cursor);
        }
        self.offset = self.offset.min(rows.saturating_sub(self.page));
    }
}

/// What tells a row from all others.
fn key(row: &LiveRow) -> String {
    row.container
        .cgroup
        .clone()
        .unwrap_or_else(|| row.container.display_name())
}
