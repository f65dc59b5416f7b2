//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{column::Column, state::UiState};

/// Longest filter; no name that is worth typing is longer.
const MAX_FILTER: usize = 64;

/// What follows from a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave the live table.
    Quit,
    /// Show the same picture again, with the user's new choice.
    Redraw,
    /// Nothing.
    Ignore,
}

impl UiState {
    /// Takes a key.
    pub fn on_key(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Ignore;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.on_control(key.code);
        }
        if self.typing {
            return self.on_filter_key(key.code);
        }
        if key.code == KeyCode::Char('q') {
            return Action::Quit;
        }
        if std::mem::take(&mut self.help) {
            return Action::Redraw;
        }
        self.on_command(key.code)
    }

    fn on_control(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Char('c') => Action::Quit,
            KeyCode::Char('u') if self.typing => {
                self.filter.clear();
                Action::Redraw
            }
            // The screen may have been written over: a redraw is what Ctrl-L means everywhere.
            KeyCode::Char('l') => Action::Redraw,
            _ => Action::Ignore,
        }
    }

    fn on_filter_key(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.typing = false;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.chars().count() < MAX_FILTER => self.filter.push(c),
            _ => return Action::Ignore,
        }
        Action::Redraw
    }

    fn on_command(&mut self, code: KeyCode) -> Action {
        match code {
            KeyCode::Char('s' | '>') | KeyCode::Right => self.sort_by_neighbour(1),
            KeyCode::Char('<') | KeyCode::Left => self.sort_by_neighbour(-1),
            KeyCode::Char(c @ '1'..='8') => {
                let column = c.to_digit(10).and_then(|n| Column::ALL.get(n as usize - 1));
                self.sort_by(column.copied());
            }
            KeyCode::Char('r') => self.reverse = !self.reverse,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('h') => self.show_host = !self.show_host,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('?') => self.help = true,
            KeyCode::Esc => self.step_back(),
            _ => return self.on_movement(code),
        }
        Action::Redraw
    }

    fn on_movement(&mut self, code: KeyCode) -> Action {
        let page = isize::try_from(self.page).unwrap_or(isize::MAX);
        let moves = match code {
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::PageUp => -page,
            KeyCode::PageDown => page,
            KeyCode::Home => isize::MIN,
            KeyCode::End => isize::MAX,
            _ => return Action::Ignore,
        };
        self.moves = self.moves.saturating_add(moves);
        Action::Redraw
    }

    fn sort_by_neighbour(&mut self, step: isize) {
        let columns = Column::ALL.len();
        let at = Column::ALL
            .iter()
            .position(|column| *column == self.sort)
            .unwrap_or(0);
        // One lap more, so that a step to the left of the first column stays positive.
        self.sort_by(
            Column::ALL
                .get((at + columns).saturating_add_signed(step) % columns)
                .copied(),
        );
    }

    fn sort_by(&mut self, column: Option<Column>) {
        if let Some(column) = column.filter(|column| *column != self.sort) {
            self.sort = column;
            self.reverse = false;
        }
    }

    /// Undoes one choice: the selection first, then the filter.
    fn step_back(&mut self) {
        if self.selected.take().is_none() {
            self.filter.clear();
        }
    }
}
