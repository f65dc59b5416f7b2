//! Text that is safe to put on a terminal, measured in columns.
//!
//! Container names, cgroup paths and thread names are chosen by whoever runs the workload. They may
//! hold escape sequences that would move the cursor, change the title or fake a line, so none
//! reaches a terminal as it is.

use unicode_width::UnicodeWidthChar as _;

use super::Charset;

/// Whether a character takes up columns and does nothing else.
///
/// Control characters, joiners, direction marks, combining marks and line separators do not.
pub(crate) fn is_harmless(c: char) -> bool {
    !matches!(c, '\u{2028}' | '\u{2029}') && c.width().is_some_and(|columns| columns > 0)
}

/// The text with every character that is not harmless, or not in the charset, written as an escape.
pub fn safe(text: &str, charset: Charset) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) && (c.is_ascii() || charset == Charset::Unicode) {
            safe.push(c);
        } else {
            safe.extend(c.escape_default());
        }
    }
    safe
}

/// Columns that a safe text takes up.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Shortens a safe text in the middle: the ends of a name tell containers apart.
pub fn shorten_middle(text: &str, max: usize, charset: Charset) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mark = charset.ellipsis();
    let Some(room) = max.checked_sub(width(mark)).filter(|room| *room >= 2) else {
        return prefix(text, max).to_owned();
    };
    let tail = suffix(text, room.div_ceil(2));
    let head = prefix(text, room - width(tail));
    format!("{head}{mark}{tail}")
}

/// Shortens a safe text at its end.
pub fn shorten_end(text: &str, max: usize, charset: Charset) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let mark = charset.ellipsis();
    match max.checked_sub(width(mark)).filter(|room| *room >= 1) {
        Some(room) => format!("{}{mark}", prefix(text, room)),
        None => prefix(text, max).to_owned(),
    }
}

/// Shortens a safe, comma-separated list after an item where at least one fits.
pub fn shorten_list(text: &str, max: usize, charset: Charset) -> String {
    let mark = charset.ellipsis();
    if width(text) > max {
        let fits = |(at, _): &(usize, &str)| width(&text[..*at]) + width(mark) <= max;
        if let Some((end, _)) = text.rmatch_indices(", ").find(fits) {
            return format!("{}{mark}", &text[..end]);
        }
    }
    shorten_end(text, max, charset)
}

/// Breaks a safe text into lines, after punctuation where there is some in the second half of the
/// line, else between words. Further lines are indented by two columns more than the first; a word
/// may be wider than its line.
pub fn wrap(text: &str, max: usize) -> Vec<String> {
    let mut rest = text.trim_start_matches(' ');
    let mut indent = " ".repeat(text.len() - rest.len());
    let mut lines = Vec::new();
    loop {
        let room = max.saturating_sub(indent.len());
        let end = if width(rest) <= room {
            rest.len()
        } else {
            line_end(rest, room)
        };
        lines.push(format!("{indent}{}", &rest[..end]));
        rest = rest[end..].trim_start_matches(' ');
        if rest.is_empty() {
            return lines;
        }
        if lines.len() == 1 {
            indent.push_str("  ");
        }
    }
}

/// Where to break a text that is wider than `room`: at a space, or at its end. Never 0.
fn line_end(text: &str, room: usize) -> usize {
    // One more column, because the space itself need not fit.
    let fits = prefix(text, room + 1);
    let after_punctuation = |(at, _): &(usize, &str)| text[..*at].ends_with([',', ';', ':']);
    let good = fits
        .rmatch_indices(' ')
        .find(after_punctuation)
        .filter(|(at, _)| *at > room / 2);
    good.map(|(at, _)| at)
        .or_else(|| fits.rfind(' '))
        .filter(|at| *at > 0)
        .or_else(|| text.find(' '))
        .unwrap_or(text.len())
}

/// The longest beginning that fits.
pub(crate) fn prefix(text: &str, max: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += columns(*c);
        used > max
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn suffix(text: &str, max: usize) -> &str {
    let mut used = 0;
    let before = text.char_indices().rev().find(|(_, c)| {
        used += columns(*c);
        used > max
    });
    before.map_or(text, |(at, c)| &text[at + c.len_utf8()..])
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

impl Charset {
    /// Marks what was left out.
    pub(crate) fn ellipsis(self) -> &'static str {
        match self {
            Self::Unicode => "…",
            Self::Ascii => "..",
        }
    }

    /// Stands for a value that was not measured.
    pub(crate) fn dash(self) -> &'static str {
        match self {
            Self::Unicode => "–",
            Self::Ascii => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(safe("a\x1b[31mb\nc", Charset::Unicode), "a\\u{1b}[31mb\\nc");
        assert_eq!(
            safe("x\u{202e}y\u{9b}z\u{2028}", Charset::Unicode),
            "x\\u{202e}y\\u{9b}z\\u{2028}"
        );
    }

    #[test]
    fn ascii_terminals_get_ascii() {
        assert_eq!(safe("é", Charset::Unicode), "é");
        assert_eq!(safe("é", Charset::Ascii), "\\u{e9}");
    }

    #[test]
    fn both_ends_of_a_long_name_stay() {
        assert_eq!(
            shorten_middle("shop/cart-7d9f8b6c5-x2x4z/cart", 15, Charset::Unicode),
            "shop/ca…4z/cart"
        );
        assert_eq!(
            shorten_middle("shop/cart-7d9f8b6c5-x2x4z/cart", 15, Charset::Ascii),
            "shop/c..4z/cart"
        );
        assert_eq!(shorten_end("EAGAIN 98%", 7, Charset::Unicode), "EAGAIN…");
    }

    #[test]
    fn lists_are_cut_between_items() {
        assert_eq!(
            shorten_list("ENOENT 99%, EACCES 1%", 14, Charset::Unicode),
            "ENOENT 99%…"
        );
        assert_eq!(
            shorten_list("ENOENT 99%, EACCES 1%", 8, Charset::Unicode),
            "ENOENT …"
        );
        assert_eq!(
            shorten_list("ENOENT 99%, EACCES 1%", 21, Charset::Unicode),
            "ENOENT 99%, EACCES 1%"
        );
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(
            wrap("one two three four", 9),
            ["one two", "  three", "  four"]
        );
        assert_eq!(wrap("  one two three", 9), ["  one two", "    three"]);
        assert_eq!(
            wrap("p99 122 µs, max 977 µs", 20),
            ["p99 122 µs,", "  max 977 µs"]
        );
        assert_eq!(wrap("", 1), [""]);
    }

    #[test]
    fn wide_characters_are_never_cut_in_half() {
        assert_eq!(prefix("日本", 3), "日");
        assert_eq!(
            width(&shorten_middle("日本語日本語", 6, Charset::Unicode)),
            5
        );
    }

    proptest! {
        #[test]
        fn safe_text_has_only_harmless_characters(text: String) {
            prop_assert!(safe(&text, Charset::Unicode).chars().all(is_harmless));
            prop_assert!(safe(&text, Charset::Ascii).bytes().all(|b| (b' '..=b'~').contains(&b)));
        }

        #[test]
        fn shortened_text_fits(text: String, max in 0usize..40) {
            for charset in [Charset::Unicode, Charset::Ascii] {
                let text = safe(&text, charset);
                prop_assert!(width(&shorten_middle(&text, max, charset)) <= max);
                prop_assert!(width(&shorten_end(&text, max, charset)) <= max);
                prop_assert!(width(&shorten_list(&text, max, charset)) <= max);
                for line in wrap(&text, max) {
                    prop_assert!(width(&line) <= max || !line.trim().contains(' '), "{}", line);
                }
            }
        }
    }
}
