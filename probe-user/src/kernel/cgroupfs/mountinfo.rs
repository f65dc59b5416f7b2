//! The lines of `/proc/self/mountinfo` that are about cgroups.

use std::path::PathBuf;

/// A mount of a cgroup hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The directory of the hierarchy that is at the top of the mount.
    pub(super) root: String,
    /// Where it is mounted.
    pub(super) point: PathBuf,
    /// `cgroup` or `cgroup2`.
    pub(super) fs_type: String,
    /// Options of the file system; the controllers of a v1 hierarchy are among them.
    options: String,
}

impl Mount {
    /// Whether this is the v1 hierarchy of a controller.
    pub(super) fn has_v1(&self, controller: &str) -> bool {
        self.fs_type == "cgroup" && self.options.split(',').any(|option| option == controller)
    }

    /// Whether the top of the mount may be the top of the hierarchy. `/../..` is above this
    /// process's cgroup namespace: that is how a mount of the host's root looks from inside a
    /// container.
    pub(super) fn shows_all(&self) -> bool {
        self.root
            .split('/')
            .all(|part| part.is_empty() || part == "..")
    }
}

/// All cgroup mounts in the order of the file; one that hides an earlier one at the same place
/// replaces it. Lines that do not follow the format are left out.
pub(super) fn mounts(text: &str) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    for mount in text.lines().filter_map(parse) {
        found.retain(|earlier| earlier.point != mount.point);
        found.push(mount);
    }
    found
}

/// `36 35 98:0 /root /point rw,noatime optional:1 - type source options`, see
/// proc_pid_mountinfo(5).
fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let mut right = right.split(' ');
    let fs_type = right.next()?;
    if fs_type != "cgroup" && fs_type != "cgroup2" {
        return None;
    }
    Some(Mount {
        root: unescape(left.next()?),
        point: PathBuf::from(unescape(left.next()?)),
        fs_type: fs_type.to_owned(),
        options: right.nth(1).unwrap_or_default().to_owned(),
    })
}

/// Decodes the octal escapes (`\040`) by which the kernel keeps fields apart.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'\\').then(|| octal(tail)).flatten();
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that three octal digits stand for.
fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits.get(..3)?).ok()?;
    if digits.starts_with('+') {
        return None;
    }
    u8::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn optional_fields_and_escapes_are_understood() {
        let text = "30 23 0:26 / /sys/fs/my\\040cgroup rw shared:4 master:1 - cgroup2 none rw,nsdelegate\n";
        let found = mounts(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].point, PathBuf::from("/sys/fs/my cgroup"));
        assert!(found[0].shows_all());
    }

    #[test]
    fn a_later_mount_hides_an_earlier_one_at_the_same_place() {
        let text =
            "30 23 0:26 /old /cg rw - cgroup2 none rw\n31 30 0:26 / /cg rw - cgroup2 none rw\n";
        let found = mounts(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].root, "/");
    }

    #[test]
    fn a_controller_is_a_whole_word_of_the_options() {
        let text = "1 1 0:1 / /a rw - cgroup cgroup rw,cpuacct\n";
        assert!(!mounts(text)[0].has_v1("cpu"));
        assert!(mounts(text)[0].has_v1("cpuacct"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}", cut in 0usize..120) {
            mounts(&text);
            let line = "30 23 0:26 / /sys\\04\\1340 rw shared:4 - cgroup2 none rw,nsdelegate";
            mounts(&line.chars().take(cut).collect::<String>());
        }
    }
}
