//! Labels, and what their keys and values may be.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation`, `IsQualifiedName` and `IsValidLabelValue`.

use super::read::{Context, Field};
use crate::model::Labels;

/// Bytes of a name, and of a value.
const LONGEST: usize = 63;
/// Bytes of the prefix of a name.
const LONGEST_PREFIX: usize = 253;

/// Reads a mapping of text to text.
pub(super) fn read(context: &mut Context, field: &Field<'_>, name: &str) -> Labels {
    let mut labels = Labels::new();
    let Some(map) = field.object(context, name) else {
        return labels;
    };
    for key in map.value.as_object().into_iter().flat_map(|map| map.keys()) {
        if let Some(value) = map.text(context, key) {
            labels.insert(key.clone(), value.to_owned());
        }
    }
    labels
}

/// Letters, digits, and in between also `-`, `_` and `.`.
fn is_word(text: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= LONGEST
        && ends(text.bytes().next())
        && ends(text.bytes().last())
        && text.bytes().all(inner)
}

/// A name of DNS: labels of lower case letters, digits and `-` between dots.
fn is_domain(text: &str) -> bool {
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        ends(label.bytes().next()) && ends(label.bytes().last()) && label.bytes().all(inner)
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(label)
}

/// Whether it can be a label's key.
pub(super) fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_domain(prefix) && is_word(name),
        None => is_word(text),
    }
}

/// Whether it can be a label's value.
pub(super) fn is_value(text: &str) -> bool {
    text.is_empty() || is_word(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_those_that_an_api_server_takes() {
        for good in ["app", "app.kubernetes.io/name", "a_b.C-9", &"x".repeat(63)] {
            assert!(is_key(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a/b/c",
            "/a",
            "A.io/a",
            "a b",
            &"x".repeat(64),
        ] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(is_value("") && is_value("v1.2_3") && !is_value("a/b") && !is_value("_a"));
    }
}
