//! The limit on locked memory, which maps and programs count against before kernel 5.11.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::bpf::{Map, map_type};

/// How the limit bears on BPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memlock {
    /// This kernel charges BPF memory to the cgroup: the limit does not matter.
    NotCharged,
    /// This kernel charges BPF memory to the limit in force, in bytes; `None` is unlimited.
    Charged(Option<u64>),
    /// No map could be made at all, so there is no telling.
    Unknown,
}

impl Memlock {
    /// Asks the kernel, by making a map under a limit of zero. The limit is back at its old value afterwards.
    ///
    /// The limit holds for the whole process: call this before other threads lock memory or make maps.
    pub fn probe() -> Self {
        let old = getrlimit(Resource::Memlock);
        let none = Rlimit {
            current: Some(0),
            maximum: old.maximum,
        };
        if setrlimit(Resource::Memlock, none).is_err() {
            return Self::Unknown;
        }
        let under_zero = smallest_map();
        let restored = setrlimit(Resource::Memlock, old);
        match (under_zero, restored) {
            (Ok(()), _) => Self::NotCharged,
            (Err(_), Ok(())) if smallest_map().is_ok() => Self::Charged(old.current),
            _ => Self::Unknown,
        }
    }
}

/// Lifts the limit as far as this process may.
///
/// # Errors
///
/// If the hard limit is in the way and `CAP_SYS_RESOURCE` is missing.
pub fn raise() -> io::Result<()> {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    Ok(setrlimit(Resource::Memlock, unlimited)?)
}

fn smallest_map() -> io::Result<()> {
    let map = Map {
        kind: map_type::ARRAY,
        key_size: 4,
        value_size: 4,
        entries: 1,
        flags: 0,
        btf: None,
    };
    map.create().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_leaves_the_limit_as_it_was() {
        let before = getrlimit(Resource::Memlock);
        Memlock::probe();
        assert_eq!(getrlimit(Resource::Memlock), before);
    }
}
