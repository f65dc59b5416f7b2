//! Where the kernel shows itself to user space.

use std::path::PathBuf;

/// Roots of the file systems that facts are read from, so that tests can hand in directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Normally `/proc`.
    pub proc: PathBuf,
    /// Normally `/sys`.
    pub sys: PathBuf,
}

impl Roots {
    /// The kernel's own description of its types, where it has one.
    pub fn btf(&self) -> PathBuf {
        self.sys.join("kernel/btf/vmlinux")
    }
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
        }
    }
}
