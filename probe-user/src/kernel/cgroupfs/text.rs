//! Paths of cgroups as text.

use std::fmt::Write as _;

/// The path of a cgroup as text. Bytes that are no text are written out as `\\xff`, so that two names do not become one.
pub fn path_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _written = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_bytes_that_are_no_text_differ_as_text() {
        assert_eq!(path_text("/a/b\u{e4}".as_bytes()), "/a/b\u{e4}");
        assert_eq!(path_text(b"/a\xff/b"), "/a\\xff/b");
        assert_ne!(path_text(b"/a\xff"), path_text(b"/a\xfe"));
        assert_eq!(path_text(b"/cut\xe2\x82"), "/cut\\xe2\\x82");
    }
}
