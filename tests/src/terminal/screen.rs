//! What a terminal shows after some output: text at positions, and which screen it is on.

/// Lines of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// One string a line, with spaces where nothing was written.
    pub lines: Vec<String>,
    /// Whether it is the alternate screen, which programs that fill the screen use.
    pub is_alternate: bool,
}

struct Drawing {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
    is_alternate: bool,
}

impl Screen {
    /// The screen after this output. Understands what a program that positions every piece of text
    /// needs; scrolls not.
    pub fn after(output: &[u8], rows: usize, columns: usize) -> Self {
        let text = String::from_utf8_lossy(output);
        let mut drawing = Drawing {
            cells: vec![vec![' '; columns]; rows],
            row: 0,
            column: 0,
            is_alternate: false,
        };
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '\x1b' if chars.peek() == Some(&'[') => {
                    chars.next();
                    let mut parameters = String::new();
                    let end = chars.by_ref().find(|char| {
                        let is_end = ('@'..='~').contains(char);
                        if !is_end {
                            parameters.push(*char);
                        }
                        is_end
                    });
                    // A sequence that is cut will be whole the next time.
                    if let Some(end) = end {
                        drawing.control(&parameters, end);
                    }
                }
                '\r' => drawing.column = 0,
                '\n' => drawing.row += 1,
                other if other.is_control() => {}
                other => drawing.put(other),
            }
        }
        Self {
            lines: drawing.cells.iter().map(String::from_iter).collect(),
            is_alternate: drawing.is_alternate,
        }
    }

    /// The first line that holds this text.
    pub fn line_with(&self, text: &str) -> Option<&str> {
        self.lines
            .iter()
            .map(String::as_str)
            .find(|line| line.contains(text))
    }
}

impl Drawing {
    fn put(&mut self, char: char) {
        let row = self.cells.get_mut(self.row);
        if let Some(cell) = row.and_then(|row| row.get_mut(self.column)) {
            *cell = char;
        }
        self.column += 1;
    }

    fn control(&mut self, parameters: &str, end: char) {
        match (parameters, end) {
            (_, 'H') => {
                let (row, column) = parameters.split_once(';').unwrap_or(("1", "1"));
                let index =
                    |number: &str| number.parse::<usize>().map_or(0, |n| n.saturating_sub(1));
                (self.row, self.column) = (index(row), index(column));
            }
            ("2", 'J') => self.clear(),
            ("?1049", 'h' | 'l') => {
                self.is_alternate = end == 'h';
                self.clear();
            }
            _ => {}
        }
    }

    fn clear(&mut self) {
        self.cells.iter_mut().for_each(|row| row.fill(' '));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_where_it_was_put() {
        let screen = Screen::after(b"old\x1b[?1049h\x1b[2;3Hab\x1b[31mc\x1b[0m\x1b[2;3Hx", 2, 6);
        assert_eq!(screen.lines, ["      ", "  xbc "]);
        assert!(screen.is_alternate);
        assert_eq!(screen.line_with("xb"), Some("  xbc "));
        assert!(!Screen::after(b"\x1b[?1049h\x1b[?1049l", 1, 1).is_alternate);
    }

    #[test]
    fn what_is_cut_or_outside_does_no_harm() {
        let screen = Screen::after(b"\x1b[0;0Ha\x1b[9;9Hb\n\nc\x1b[4", 1, 2);
        assert_eq!(screen.lines, ["a "]);
    }
}
