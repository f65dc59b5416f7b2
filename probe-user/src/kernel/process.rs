//! Processes by their ids, as `/proc` shows them.

use std::{fs, path::Path};

/// Inode of the PID namespace that the kernel begins with, `PROC_PID_INIT_INO` in include/linux/proc_ns.h.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// What a number given as the id of a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessId {
    /// The id of a process.
    Process,
    /// The id of a thread of this process.
    Thread {
        /// The process.
        of: u32,
        /// Its name.
        name: String,
    },
    /// No process and no thread.
    Missing {
        /// Processes that have this id in a PID namespace below ours, as in a container; at most a few.
        inner: Vec<u32>,
    },
}

/// Looks up an id below `proc` (normally `/proc`).
pub fn find(proc: &Path, id: u32) -> ProcessId {
    let Some(status) = status(proc, id) else {
        return ProcessId::Missing {
            inner: with_inner_id(proc, id),
        };
    };
    match status.process {
        Some(process) if process != id => ProcessId::Thread {
            of: process,
            name: self::status(proc, process).map_or_else(String::new, |it| it.name),
        },
        _ => ProcessId::Process,
    }
}

/// Whether this program sees other ids than the kernel's own, because it runs in a PID namespace of its own.
pub fn sees_other_ids(proc: &Path) -> bool {
    let namespace = fs::read_link(proc.join("self/ns/pid"));
    namespace.is_ok_and(|it| it != Path::new(FIRST_PID_NAMESPACE))
}

/// Lines of `status` that say which process this is.
#[derive(Debug, Default)]
struct Status {
    name: String,
    process: Option<u32>,
    /// Ids in our PID namespace and in those below it.
    ids: Vec<u32>,
}

fn status(proc: &Path, id: u32) -> Option<Status> {
    let bytes = fs::read(proc.join(id.to_string()).join("status")).ok()?;
    // Names may be any bytes.
    let text = String::from_utf8_lossy(&bytes);
    let mut status = Status::default();
    for line in text.lines() {
        match line.split_once(':') {
            Some(("Name", name)) => status.name = name.trim().to_owned(),
            Some(("Tgid", id)) => status.process = id.trim().parse().ok(),
            Some(("NSpid", ids)) => {
                let ids = ids.split_whitespace().map(str::parse);
                status.ids = ids.filter_map(Result::ok).collect();
            }
            _ => {}
        }
    }
    Some(status)
}

fn with_inner_id(proc: &Path, id: u32) -> Vec<u32> {
    const MOST: usize = 4;
    let Ok(entries) = fs::read_dir(proc) else {
        return Vec::new();
    };
    let ids = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_inner = |outer: &u32| {
        let ids = status(proc, *outer).map_or_else(Vec::new, |status| status.ids);
        ids.len() > 1 && ids.last() == Some(&id)
    };
    ids.filter(has_inner).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process 4700 with a thread 4711, which is 57 in a container.
    fn proc() -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        for (id, process, inner) in [(4700, 4700, 57), (4711, 4700, 58)] {
            let folder = proc.path().join(id.to_string());
            fs::create_dir(&folder).unwrap();
            let text =
                format!("Name:\tpostgres\nTgid:\t{process}\nPid:\t{id}\nNSpid:\t{id}\t{inner}\n");
            fs::write(folder.join("status"), text).unwrap();
        }
        proc
    }

    #[test]
    fn an_id_is_that_of_a_process_a_thread_or_nothing() {
        let proc = proc();
        assert_eq!(find(proc.path(), 4700), ProcessId::Process);
        let thread = ProcessId::Thread {
            of: 4700,
            name: "postgres".into(),
        };
        assert_eq!(find(proc.path(), 4711), thread);
        let missing = ProcessId::Missing { inner: Vec::new() };
        assert_eq!(find(proc.path(), 1), missing);
    }

    #[test]
    fn a_missing_id_may_be_that_of_a_process_in_a_container() {
        let inner = vec![4700];
        assert_eq!(find(proc().path(), 57), ProcessId::Missing { inner });
    }

    #[test]
    fn another_pid_namespace_is_told_by_its_number() {
        let proc = tempfile::tempdir().unwrap();
        assert!(!sees_other_ids(proc.path()), "nothing is known");
        let folder = proc.path().join("self/ns");
        fs::create_dir_all(&folder).unwrap();
        for (namespace, other) in [(FIRST_PID_NAMESPACE, false), ("pid:[4026532201]", true)] {
            let link = folder.join("pid");
            std::os::unix::fs::symlink(namespace, &link).unwrap();
            assert_eq!(sees_other_ids(proc.path()), other, "{namespace}");
            fs::remove_file(link).unwrap();
        }
    }
}
