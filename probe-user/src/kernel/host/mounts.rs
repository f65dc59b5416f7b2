//! Finds where a kind of file system is mounted.

use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt as _, path::PathBuf};

use crate::kernel::Roots;

/// The first mount of a file system type in this process' mount namespace.
pub fn mount_of(roots: &Roots, fs_type: &str) -> Option<PathBuf> {
    let table = fs::read(roots.proc.join("self/mountinfo")).ok()?;
    table
        .split(|b| *b == b'\n')
        .find_map(|line| parse(line, fs_type.as_bytes()))
}

/// One line: `36 35 98:0 /root /mount/point options [tags] - type source options`.
fn parse(line: &[u8], fs_type: &[u8]) -> Option<PathBuf> {
    let mut fields = line.split(|b| *b == b' ');
    let path = fields.nth(4)?;
    let mut rest = fields.skip_while(|field| *field != b"-");
    rest.next()?;
    (rest.next()? == fs_type).then(|| PathBuf::from(OsString::from_vec(unescape(path))))
}

/// Blanks, tabs, newlines and backslashes are written as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        rest = match tail {
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] if *first == b'\\' => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_type_stands_behind_any_number_of_tags() {
        let found = parse(
            b"1 2 0:7 / /sys/fs/bpf rw shared:1 master:2 - bpf none rw",
            b"bpf",
        );
        assert_eq!(found.unwrap().to_str(), Some("/sys/fs/bpf"));
        assert_eq!(parse(b"1 2 0:7 / /bpf rw - tmpfs bpf rw", b"bpf"), None);
        assert_eq!(parse(b"1 2 0:7 / /bpf rw", b"bpf"), None);
    }

    #[test]
    fn escaped_blanks_become_blanks() {
        assert_eq!(unescape(br"/a\040b\134c\9"), br"/a b\c\9");
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(path) = parse(&line, b"bpf") {
                prop_assert!(path.as_os_str().len() <= line.len());
            }
        }
    }
}
