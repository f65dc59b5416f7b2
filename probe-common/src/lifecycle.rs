//! Records of the `lifecycle` probe.

/// A cgroup directory was made.
pub const CGROUP_MKDIR: u32 = 1;
/// A cgroup directory was removed.
pub const CGROUP_RMDIR: u32 = 2;
/// A task was moved into a cgroup.
pub const CGROUP_ATTACH_TASK: u32 = 3;

/// Longest path that a record carries, with its terminating zero.
pub const PATH_LEN: usize = 512;

/// One event in the life of a cgroup.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CgroupEvent {
    /// [`CGROUP_MKDIR`] and so on; user space ignores and counts kinds that it does not know.
    pub kind: u32,
    /// Bytes of `path` in use, without the terminating zero.
    pub path_len: u32,
    /// The cgroup's id.
    pub cgroup: u64,
    /// The cgroup's path from the root of its hierarchy.
    pub path: [u8; PATH_LEN],
}
const _: () = assert!(size_of::<CgroupEvent>() == 528 && align_of::<CgroupEvent>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for CgroupEvent {}
