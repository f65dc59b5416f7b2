//! Everything that nodeprobe shows: tables, histograms, the live table, JSON.
//!
//! Owns the look of plain data (see [`view`]). Reads nothing: no kernel, no files, no environment;
//! whoever calls says how wide the terminal is and whether it takes colours.

mod columns;
pub mod format;
pub mod histogram;
pub mod json;
pub mod live;
pub mod network;
pub(crate) mod sheet;
pub mod table;
pub mod text;
pub mod view;

pub(crate) use table::footer;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, with block elements and the micro sign.
    Unicode,
    /// Nothing above 0x7e; other characters are written as escapes.
    Ascii,
}

/// Where text is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; `usize::MAX` where there is none, so that nothing is shortened.
    pub width: usize,
    /// Whether bold headings and the like are welcome. `NO_COLOR` is the caller's to read.
    pub colour: bool,
    /// Which characters can be shown.
    pub charset: Charset,
}

/// Which rows of a report to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection<O> {
    /// What the rows are sorted by, largest first.
    pub order: O,
    /// How many rows to show; the rest is summed up in a last line.
    pub top: Option<usize>,
}

impl<O> Selection<O> {
    /// Sorts rows with `compare` and cuts them into those to show and the rest.
    fn split<'a, R>(
        &self,
        rows: &'a [R],
        compare: impl Fn(&O, &R, &R) -> std::cmp::Ordering,
    ) -> (Vec<&'a R>, Vec<&'a R>) {
        let mut shown: Vec<&R> = rows.iter().collect();
        shown.sort_by(|a, b| compare(&self.order, a, b));
        let rest = shown.split_off(self.top.unwrap_or(usize::MAX).min(shown.len()));
        (shown, rest)
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
