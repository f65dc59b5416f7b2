//! Names of the files that were put aside: the file's own name, the time in UTC, and `.gz` where it is compressed.
//!
//! `flows.ndjson.20260102T030405678Z.gz` sorts by time, is never renamed again, and needs no other file renamed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Length of a time in a name.
const STAMP: usize = "20260102T030405678Z".len();
/// End of the name of a compressed file.
const GZIP: &str = ".gz";

/// A file that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    /// When, as its name says it.
    pub(super) stamp: String,
    /// Whether it is compressed.
    pub(super) gzip: bool,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// All files of a log that exist, the oldest first: those that were put aside, then the current one.
///
/// A segment that is there in both forms, because compressing it was interrupted, comes once.
///
/// # Errors
///
/// The directory cannot be read.
pub fn segments(path: &Path) -> io::Result<Vec<PathBuf>> {
    let path = resolved(path);
    let mut old = aside(&path)?;
    // The compressed form, which sorts behind, is complete if it exists.
    old.reverse();
    old.dedup_by(|later, kept| later.stamp == kept.stamp);
    old.reverse();
    let mut files: Vec<PathBuf> = old.into_iter().map(|segment| segment.path).collect();
    if path.exists() {
        files.push(path);
    }
    Ok(files)
}

/// The file itself where the path leads to it by links, so that it is put aside in its own directory.
pub(super) fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.into())
}

/// The files that were put aside, the oldest first.
pub(super) fn aside(path: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory(path))? {
        let entry = entry?;
        if let Some((stamp, gzip)) = entry.file_name().to_str().and_then(|name| {
            let rest = name.strip_prefix(path.file_name()?.to_str()?)?;
            parse(rest.strip_prefix('.')?)
        }) {
            found.push(Segment {
                stamp,
                gzip,
                path: entry.path(),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The name for a file that is put aside now: later than all others, whatever became of the clock.
pub(super) fn next(path: &Path, now: SystemTime) -> io::Result<PathBuf> {
    let last = aside(path)?.pop().and_then(|segment| time(&segment.stamp));
    let after = last.map(|last| last + Duration::from_millis(1));
    let now = now.max(UNIX_EPOCH);
    let stamp = stamp(after.map_or(now, |after| after.max(now)));
    Ok(with_ending(path, &format!(".{stamp}")))
}

/// The path with more at its end.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The path of the compressed form.
pub(super) fn compressed(path: &Path) -> PathBuf {
    with_ending(path, GZIP)
}

fn stamp(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(time).to_string();
    text.replace(['-', ':', '.'], "")
}

/// The time and form by the end of a name.
fn parse(ending: &str) -> Option<(String, bool)> {
    let (stamp, gzip) = match ending.strip_suffix(GZIP) {
        Some(stamp) => (stamp, true),
        None => (ending, false),
    };
    time(stamp)?;
    Some((stamp.to_owned(), gzip))
}

fn time(stamp: &str) -> Option<SystemTime> {
    if stamp.len() != STAMP || !stamp.is_ascii() {
        return None;
    }
    let part = |from, to| stamp.get(from..to);
    humantime::parse_rfc3339(&format!(
        "{}-{}-{}:{}:{}.{}",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 11)?,
        part(11, 13)?,
        part(13, 15)?,
        part(15, STAMP)?
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn touch(directory: &Path, names: &[&str]) {
        for name in names {
            fs::write(directory.join(name), "").unwrap();
        }
    }

    #[test]
    fn segments_come_oldest_first_once_and_strangers_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        touch(
            directory.path(),
            &[
                "log",
                "log.20260102T030405679Z",
                "log.20260102T030405679Z.gz",
                "log.20260102T030405678Z",
                "log.20251231T235959999Z.gz",
                "log.20251231T235959999Z.gz.tmp",
                "log.1",
                "log.20261332T030405678Z",
                "login.20260102T030405678Z",
            ],
        );
        let path = directory.path().join("log");
        let names: Vec<String> = segments(&path)
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "log.20251231T235959999Z.gz",
                "log.20260102T030405678Z",
                "log.20260102T030405679Z.gz",
                "log"
            ]
        );
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_change_the_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let now = UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
        let first = next(&path, now).unwrap();
        assert_eq!(first, directory.path().join("log.20260102T030405678Z"));
        touch(directory.path(), &["log.20260102T030405678Z.gz"]);
        let second = next(&path, now - Duration::from_secs(3600)).unwrap();
        assert_eq!(second, directory.path().join("log.20260102T030405679Z"));
    }

    proptest! {
        #[test]
        fn a_stamp_says_its_time(ms in 0_u64..253_402_300_800_000) {
            let at = UNIX_EPOCH + Duration::from_millis(ms);
            prop_assert_eq!(time(&stamp(at)), Some(at));
        }

        #[test]
        fn any_name_is_looked_at_without_harm(name: String) {
            let _: Option<_> = parse(&name);
        }
    }
}
