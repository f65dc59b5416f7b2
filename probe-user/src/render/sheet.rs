//! Lines of aligned cells for any terminal width.

use std::io::{self, Write};

use super::{
    Look,
    columns::{Want, fit},
    text,
};

const GAP: usize = 2;

/// A column of a sheet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    kind: Kind,
    rank: u8,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Aligned right, never shortened.
    Number,
    /// Aligned left, shortened in the middle down to this width.
    Name(usize),
    /// Aligned left, shortened at its end down to this width.
    List(usize),
}

impl Column {
    /// A column of numbers.
    pub(crate) const fn number(title: &'static str, rank: u8) -> Self {
        Self {
            title,
            kind: Kind::Number,
            rank,
        }
    }

    /// A column of names, which may be shortened in the middle.
    pub(crate) const fn name(title: &'static str, min: usize, rank: u8) -> Self {
        Self {
            title,
            kind: Kind::Name(min),
            rank,
        }
    }

    /// A column of lists, most important first, which may be shortened at the end.
    pub(crate) const fn list(title: &'static str, min: usize, rank: u8) -> Self {
        Self {
            title,
            kind: Kind::List(min),
            rank,
        }
    }
}

/// A table: columns, and rows with one safe cell for each of them.
#[derive(Debug)]
pub(crate) struct Sheet {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    /// A table without rows.
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row; missing cells are empty.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Writes header and rows, and returns the titles of the columns that found no room.
    pub(crate) fn write(&self, out: &mut impl Write, look: &Look) -> io::Result<Vec<&'static str>> {
        let widths = fit(&self.wants(), look.width, GAP);
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.title.to_owned())
            .collect();
        let header = self.line(&titles, &widths, look);
        heading(out, &header, look)?;
        for row in &self.rows {
            writeln!(out, "{}", self.line(row, &widths, look))?;
        }
        let left_out = self
            .columns
            .iter()
            .zip(&widths)
            .filter(|(_, width)| width.is_none());
        Ok(left_out.map(|(column, _)| column.title).collect())
    }

    fn wants(&self) -> Vec<Want> {
        let want = |(i, column): (usize, &Column)| {
            let cells = self.rows.iter().filter_map(|row| row.get(i));
            let widest = cells.map(|cell| text::width(cell)).max().unwrap_or(0);
            let natural = widest.max(text::width(column.title));
            let min = match column.kind {
                Kind::Number => natural,
                Kind::Name(min) | Kind::List(min) => min.min(natural),
            };
            Want {
                natural,
                min,
                rank: column.rank,
            }
        };
        self.columns.iter().enumerate().map(want).collect()
    }

    fn line(&self, cells: &[String], widths: &[Option<usize>], look: &Look) -> String {
        let mut line = String::new();
        for (i, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            let Some(width) = *width else { continue };
            if i > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let cell = cells.get(i).map_or("", String::as_str);
            let cell = match column.kind {
                Kind::Name(_) => text::shorten_middle(cell, width, look.charset),
                Kind::List(_) => text::shorten_list(cell, width, look.charset),
                Kind::Number => text::shorten_end(cell, width, look.charset),
            };
            let padding = " ".repeat(width.saturating_sub(text::width(&cell)));
            match column.kind {
                Kind::Number => line.extend([padding.as_str(), cell.as_str()]),
                Kind::Name(_) | Kind::List(_) => line.extend([cell.as_str(), padding.as_str()]),
            }
        }
        text::prefix(line.trim_end(), look.width).to_owned()
    }
}

/// Writes a line in bold where that is welcome, cut to the width of the terminal.
pub(crate) fn heading(out: &mut impl Write, line: &str, look: &Look) -> io::Result<()> {
    let line = text::shorten_end(line, look.width, look.charset);
    if look.colour {
        writeln!(out, "\x1b[1m{line}\x1b[0m")
    } else {
        writeln!(out, "{line}")
    }
}

/// Writes a heading that may take more than one line.
pub(crate) fn title(out: &mut impl Write, safe: &str, look: &Look) -> io::Result<()> {
    text::wrap(safe, look.width)
        .iter()
        .try_for_each(|line| heading(out, line, look))
}

/// Writes a safe text, on more than one line where the terminal is narrow.
pub(crate) fn wrapped(out: &mut impl Write, safe: &str, look: &Look) -> io::Result<()> {
    text::wrap(safe, look.width)
        .iter()
        .try_for_each(|line| writeln!(out, "{}", text::shorten_end(line, look.width, look.charset)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Charset;

    const PLAIN: Look = Look {
        width: 80,
        colour: false,
        charset: Charset::Unicode,
    };

    fn sheet() -> Sheet {
        let columns = vec![
            Column::name("NAME", 6, 0),
            Column::number("N", 0),
            Column::list("WHAT", 4, 1),
        ];
        let mut sheet = Sheet::new(columns);
        sheet.push(vec![
            "a-rather-long-name".into(),
            "1,234".into(),
            "one, two, three".into(),
        ]);
        sheet.push(vec!["b".into(), "7".into()]);
        sheet
    }

    fn written(look: &Look) -> (String, Vec<&'static str>) {
        let mut out = Vec::new();
        let left_out = sheet().write(&mut out, look).unwrap();
        (String::from_utf8(out).unwrap(), left_out)
    }

    #[test]
    fn numbers_are_right_and_names_left() {
        let expected = "\
NAME                    N  WHAT
a-rather-long-name  1,234  one, two, three
b                       7
";
        assert_eq!(written(&PLAIN), (expected.into(), vec![]));
    }

    #[test]
    fn a_narrow_terminal_shortens_and_then_leaves_out() {
        let expected = "\
NAME               N  WHAT
a-rath…g-name  1,234  one…
b                  7
";
        assert_eq!(
            written(&Look { width: 28, ..PLAIN }),
            (expected.into(), vec![])
        );
        let expected = "\
NAME         N
a-r…ame  1,234
b            7
";
        assert_eq!(
            written(&Look { width: 14, ..PLAIN }),
            (expected.into(), vec!["WHAT"])
        );
    }

    #[test]
    fn only_headings_are_bold_and_only_with_colour() {
        let (text, _) = written(&Look {
            colour: true,
            ..PLAIN
        });
        assert!(text.starts_with("\x1b[1mNAME"));
        assert_eq!(text.matches('\x1b').count(), 2);
        assert!(!written(&PLAIN).0.contains('\x1b'));
    }
}
