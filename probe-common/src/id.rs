//! Identifiers as the kernel numbers things.

/// A cgroup as the kernel numbers it: the inode number of its directory. Never an index, never a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct CgroupId(pub u64);
