//! Lines of aligned cells for any terminal width.

use std::io::{self, Write};

use super::{
    Look,
    columns::{Want, fit},
    text,
};

const GAP: usize = 2;
/// Widest that a text is shown where other columns follow: one long name must not push the figures of all rows away.
const MAX_TEXT: usize = 64;

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
            // Nothing is padded behind the last column.
            let is_padded = i + 1 < self.columns.len() && !matches!(column.kind, Kind::Number);
            let natural = if is_padded {
                natural.min(MAX_TEXT)
            } else {
                natural
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
                // A number that is cut is another number.
                Kind::Number => cell.to_owned(),
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

/// A table whose rows come one by one and scroll away: the widths of its columns are known before the rows are.
#[derive(Debug)]
pub(crate) struct Scroll {
    sheet: Sheet,
    widths: Vec<Option<usize>>,
    look: Look,
}

impl Scroll {
    /// Columns with the widths that suit them.
    pub(crate) fn new(columns: Vec<(Column, usize)>, look: Look) -> Self {
        let want = |(column, natural): &(Column, usize)| Want {
            natural: *natural,
            min: match column.kind {
                Kind::Number => *natural,
                Kind::Name(min) | Kind::List(min) => min.min(*natural),
            },
            rank: column.rank,
        };
        let wants: Vec<Want> = columns.iter().map(want).collect();
        Self {
            widths: fit(&wants, look.width, GAP),
            sheet: Sheet::new(columns.into_iter().map(|(column, _)| column).collect()),
            look,
        }
    }

    /// What the terminal can show.
    pub(crate) fn look(&self) -> &Look {
        &self.look
    }

    /// Writes the titles of the columns.
    pub(crate) fn titles(&self, out: &mut impl Write) -> io::Result<()> {
        let titles = self.sheet.columns.iter();
        let titles: Vec<String> = titles.map(|column| column.title.to_owned()).collect();
        heading(
            out,
            &self.sheet.line(&titles, &self.widths, &self.look),
            &self.look,
        )
    }

    /// Writes a row of safe cells.
    pub(crate) fn line(&self, out: &mut impl Write, cells: &[String]) -> io::Result<()> {
        writeln!(out, "{}", self.sheet.line(cells, &self.widths, &self.look))
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
    fn one_long_name_does_not_pad_all_rows() {
        let mut sheet = sheet();
        sheet.push(vec!["x".repeat(250), "3".into(), "y".repeat(100)]);
        let look = Look {
            width: 240,
            ..PLAIN
        };
        let mut out = Vec::new();
        sheet.write(&mut out, &look).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].find(" N "), Some(64 + 2 + 4 - 1), "{text}");
        assert!(lines[3].starts_with(&format!("{}…{}  ", "x".repeat(31), "x".repeat(32))));
        assert!(lines[3].ends_with(&"y".repeat(100)), "{text}");
    }

    #[test]
    fn a_number_is_shown_whole_or_not_at_all() {
        for width in 1..40 {
            let (text, left_out) = written(&Look { width, ..PLAIN });
            let first = text.lines().nth(1).unwrap();
            assert_eq!(first.contains("1,234"), !left_out.contains(&"N"), "{text}");
        }
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
