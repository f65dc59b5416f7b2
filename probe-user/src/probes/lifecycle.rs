//! The `lifecycle` probe: cgroups appear, get their first tasks and vanish.

use std::{os::fd::AsFd as _, time::Duration};

use aya::maps::{MapData, RingBuf};
use probe_common::{
    id::CgroupId,
    lifecycle::{CGROUP_ATTACH_TASK, CGROUP_MKDIR, CGROUP_RMDIR, CgroupEvent, PATH_LEN},
};
use rustix::event::{PollFd, PollFlags, poll};

use super::{Attached, Options, ProbeSpec, records};
use crate::{
    kernel::cgroupfs::{Mode, path_text},
    loader::{self, Globals, Kernel, LoadError},
    maps::{self, MapError},
    model::FeatureState,
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "lifecycle",
    about: "containers that appear and vanish, so that short-lived ones have a name",
    hooks: |_| &["cgroup_mkdir", "cgroup_rmdir", "cgroup_attach_task"],
    attach,
};

const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lifecycle"));

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    let mut globals = Globals::new();
    globals
        .set_log_level(super::log_level(options))
        .set_cgroup(kernel)?
        .set_offset(kernel, "CGROUP_ROOT", &[("cgroup", "root")])?
        .set_offset(
            kernel,
            "CGROUP_ROOT_HIERARCHY_ID",
            &[("cgroup_root", "hierarchy_id")],
        )?
        .set("HIERARCHY", hierarchy(&kernel.cgroups.mode)?);
    let mut ebpf = loader::load(OBJECT, &globals, &[])?;
    let ring =
        RingBuf::try_from(maps::take(&mut ebpf, "EVENTS")?).map_err(|source| MapError::Aya {
            map: "EVENTS",
            source,
        })?;
    for hook in (SPEC.hooks)(options) {
        loader::attach(&mut ebpf, kernel, hook)?;
    }
    let mut attached = Attached::new(SPEC.name, FeatureState::On, ebpf);
    attached.readers.lifecycle = Some(LifecycleReader { ring, undecoded: 0 });
    Ok(attached)
}

/// The number of the hierarchy that containers are told apart by: 0 is cgroup v2.
fn hierarchy(mode: &Mode) -> Result<u32, LoadError> {
    match mode {
        Mode::V2 | Mode::Hybrid => Ok(0),
        Mode::V1 {
            controller,
            hierarchy_id,
        } => hierarchy_id.ok_or_else(|| {
            LoadError::Unsupported(
                format!("/proc/cgroups does not number the hierarchy of `{controller}`").into(),
            )
        }),
    }
}

/// What happened to a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupChange {
    /// It was made.
    Made,
    /// It was removed.
    Removed,
    /// A task was moved into it.
    Attached,
}

impl CgroupChange {
    /// The word for it in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Made => "created",
            Self::Removed => "removed",
            Self::Attached => "task_attached",
        }
    }
}

/// One record of the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupRecord {
    /// Which cgroup.
    pub cgroup: CgroupId,
    /// What happened to it.
    pub change: CgroupChange,
    /// Its path from the root of the hierarchy.
    pub path: String,
    /// Whether the path may be longer than the record could hold.
    pub is_cut: bool,
}

impl CgroupRecord {
    /// Makes a record of the bytes that the program wrote; `None` for what no program of this build writes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let event: CgroupEvent = records::decode(bytes)?;
        let change = match event.kind {
            CGROUP_MKDIR => CgroupChange::Made,
            CGROUP_RMDIR => CgroupChange::Removed,
            CGROUP_ATTACH_TASK => CgroupChange::Attached,
            _ => return None,
        };
        let path = event.path.get(..event.path_len as usize)?;
        Some(Self {
            cgroup: CgroupId(event.cgroup),
            change,
            path: path_text(path),
            is_cut: path.len() + 1 >= PATH_LEN,
        })
    }
}

/// Reads the probe's ring.
pub struct LifecycleReader {
    ring: RingBuf<MapData>,
    undecoded: u64,
}

impl LifecycleReader {
    /// Waits for records, at most for `timeout`; answers whether there may be some.
    pub fn wait(&self, timeout: Duration) -> bool {
        let timeout = rustix::event::Timespec::try_from(timeout).ok();
        let mut fds = [PollFd::from_borrowed_fd(self.ring.as_fd(), PollFlags::IN)];
        matches!(poll(&mut fds, timeout.as_ref()), Ok(ready) if ready > 0)
    }

    /// The next record, if there is one. What cannot be decoded is counted and skipped.
    pub fn take(&mut self) -> Option<CgroupRecord> {
        while let Some(item) = self.ring.next() {
            match CgroupRecord::decode(&item) {
                Some(record) => return Some(record),
                None => self.undecoded += 1,
            }
        }
        None
    }

    /// Records that could not be decoded.
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(event: &CgroupEvent) -> Vec<u8> {
        // SAFETY: the type has no padding, so all of its bytes are initialised.
        unsafe {
            std::slice::from_raw_parts(std::ptr::from_ref(event).cast::<u8>(), size_of_val(event))
        }
        .to_vec()
    }

    fn event(kind: u32) -> CgroupEvent {
        let mut path = [0; probe_common::lifecycle::PATH_LEN];
        path[..4].copy_from_slice(b"/a/b");
        CgroupEvent {
            kind,
            path_len: 4,
            cgroup: 7,
            path,
        }
    }

    #[test]
    fn a_record_decodes_to_what_was_written() {
        let record = CgroupRecord::decode(&bytes(&event(CGROUP_ATTACH_TASK))).unwrap();
        let expected = CgroupRecord {
            cgroup: CgroupId(7),
            change: CgroupChange::Attached,
            path: "/a/b".into(),
            is_cut: false,
        };
        assert_eq!(record, expected);
    }

    #[test]
    fn unknown_kinds_and_impossible_lengths_are_refused() {
        assert_eq!(CgroupRecord::decode(&bytes(&event(77))), None);
        let mut long = event(CGROUP_MKDIR);
        long.path_len = 100_000;
        assert_eq!(CgroupRecord::decode(&bytes(&long)), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(noise in proptest::collection::vec(any::<u8>(), 0..700)) {
            _ = CgroupRecord::decode(&noise);
        }
    }
}
