//! A record as a line of JSON.

use serde::Serialize;
use unicode_width::UnicodeWidthChar as _;

/// The line with its line break, or none if the record cannot be written as JSON, which would be a bug.
///
/// Names of processes and of hosts come from strangers. JSON escapes some of what steers a terminal; the rest is escaped as
/// well, since a log is shown on one sooner or later.
pub(super) fn line(record: &impl Serialize) -> Option<Vec<u8>> {
    let mut json = serde_json::to_string(record).ok()?;
    if json.bytes().any(|byte| byte >= 0x7f) {
        json = escaped(&json);
    }
    json.push('\n');
    Some(json.into_bytes())
}

fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.width().is_some_and(|columns| columns > 0) && !matches!(c, '\u{2028}' | '\u{2029}') {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_is_one_line_and_means_what_it_meant(text: String) {
            let line = String::from_utf8(line(&text).unwrap()).unwrap();
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
            prop_assert!(line.trim_end().chars().all(|c| !c.is_control()));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }

    #[test]
    fn what_turns_a_terminal_around_is_escaped() {
        let line = line(&"a\u{202e}b\u{9b}c\u{7f}é").unwrap();
        assert_eq!(line, "\"a\\u202eb\\u009bc\\u007fé\"\n".as_bytes());
    }
}
