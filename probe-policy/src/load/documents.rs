//! The documents of a file.

use serde_json::Value;

/// One document.
pub(super) struct Document<'a> {
    /// From 1.
    pub(super) number: usize,
    /// Line of the file on which it begins, from 1.
    line: usize,
    text: &'a str,
}

/// Splits at the lines that YAML begins documents with. Nothing else in a document can begin a line so.
pub(super) fn split(text: &str) -> Vec<Document<'_>> {
    // A byte order mark is no part of the first key.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut begin, mut at, mut line, mut first_line) = (0, 0, 1, 1);
    let mut push = |from: usize, to: usize, line: usize| {
        let text = &text[from..to];
        if text
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '%']))
        {
            documents.push((line, text));
        }
    };
    for each in text.split_inclusive('\n') {
        let marker = each.trim_end();
        if marker == "---" || each.starts_with("--- ") || marker == "..." {
            push(begin, at, first_line);
            // What stands behind the marker, such as a comment or a whole flow mapping, is of the document.
            begin = at + 3;
            first_line = line;
        }
        at += each.len();
        line += 1;
    }
    push(begin, at, first_line);
    documents
        .into_iter()
        .enumerate()
        .map(|(index, (line, text))| Document {
            number: index + 1,
            line,
            text,
        })
        .collect()
}

impl Document<'_> {
    /// What it says, or why it says nothing.
    pub(super) fn value(&self) -> Result<Value, String> {
        let begins = self.text.trim_start();
        if begins.starts_with(['{', '['])
            && let Ok(value) = serde_json::from_str(begins)
        {
            return Ok(value);
        }
        serde_saphyr::from_str_with_options(self.text, options(self.text.len())).map_err(|error| {
            format!(
                "is no YAML: {}; the document begins on line {} of the file",
                first_line(&error.to_string()),
                self.line
            )
        })
    }
}

/// A document may be as long as memory lets it, and aliases may add a few times its length and no more.
fn options(length: usize) -> serde_saphyr::Options {
    /// What a document of any length may have.
    const LEAST: usize = 1 << 16;
    let most = length.saturating_mul(4).max(LEAST);
    serde_saphyr::options! {
        // As in YAML 1.2: a namespace `y` is no boolean.
        strict_booleans: true,
        budget: serde_saphyr::budget! {
            max_events: most,
            max_nodes: most,
            max_total_scalar_bytes: most,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
        },
    }
}

/// Without the piece of the file that goes with it.
fn first_line(message: &str) -> String {
    message
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(':')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart_and_empty_ones_do_not_count() {
        let text = "# head\n---\na: 1\n---\n# nothing\n--- # more\nb:\n  - '---'\n...\n---\n{\"c\": [1]}\n";
        let values: Vec<_> = split(text)
            .iter()
            .map(|d| (d.number, d.value().unwrap()))
            .collect();
        assert_eq!(values.len(), 3, "{values:?}");
        assert_eq!(values[0], (1, serde_json::json!({"a": 1})));
        assert_eq!(values[1], (2, serde_json::json!({"b": ["---"]})));
        assert_eq!(values[2], (3, serde_json::json!({"c": [1]})));
    }

    #[test]
    fn a_broken_document_hides_no_other_and_says_where_it_is() {
        let text = "a: 1\n---\nb: [1,\n---\nc: 3\n";
        let documents = split(text);
        assert_eq!(documents.len(), 3);
        let error = documents[1].value().unwrap_err();
        assert!(error.contains("line 2 of the file"), "{error}");
        assert_eq!(documents[2].value().unwrap(), serde_json::json!({"c": 3}));
    }

    #[test]
    fn a_quoted_number_is_text() {
        let documents = split("a: \"80\"\nb: 80\n");
        assert_eq!(
            documents[0].value().unwrap(),
            serde_json::json!({"a": "80", "b": 80})
        );
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        let documents = split("a: y\nb: on\nc: true\n");
        let expected = serde_json::json!({"a": "y", "b": "on", "c": true});
        assert_eq!(documents[0].value().unwrap(), expected);
    }

    #[test]
    fn an_alias_of_aliases_is_refused_and_does_not_fill_the_memory() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            let list = vec![before; 10].join(", ");
            text += &format!("a{level}: &a{level} [{list}]\n");
        }
        assert!(split(&text)[0].value().is_err());
    }
}
