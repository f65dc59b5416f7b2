//! Markdown tables that also read well as they are.

use std::fmt;

/// A table whose columns are as wide as they must be.
pub(super) struct Table {
    /// Whether each column is aligned to the right.
    right: Vec<bool>,
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; those of figures begin with `>` and are aligned to the right.
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings
            .iter()
            .map(|heading| heading.starts_with('>'))
            .collect();
        let names = headings
            .iter()
            .map(|heading| heading.trim_start_matches('>').to_owned());
        Self {
            right,
            lines: vec![names.collect()],
        }
    }

    /// Adds a line, with one text for each column.
    pub(super) fn add(&mut self, line: impl IntoIterator<Item = String>) {
        self.lines.push(line.into_iter().collect());
    }

    fn width(&self, column: usize) -> usize {
        let widths = self.lines.iter().filter_map(|line| line.get(column));
        widths.map(|text| text.chars().count()).max().unwrap_or(0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.lines.iter().enumerate() {
            for (column, (text, right)) in line.iter().zip(&self.right).enumerate() {
                let width = self.width(column);
                if *right {
                    write!(f, "| {text:>width$} ")?;
                } else {
                    write!(f, "| {text:<width$} ")?;
                }
            }
            writeln!(f, "|")?;
            if number == 0 {
                for (column, right) in self.right.iter().enumerate() {
                    let end = if *right { ":" } else { "-" };
                    write!(f, "|{}{end}", "-".repeat(self.width(column) + 1))?;
                }
                writeln!(f, "|")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_text() {
        let mut table = Table::new(&["who", ">ns"]);
        table.add(["a".to_owned(), "1000".to_owned()]);
        let text = "| who |   ns |\n|-----|-----:|\n| a   | 1000 |\n";
        assert_eq!(table.to_string(), text);
    }
}
