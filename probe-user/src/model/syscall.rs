//! Names of system calls and errnos.

use std::borrow::Cow;

use probe_common::syscalls::{ABI_COMPAT, NR_OTHER};
use syscalls::Errno;

/// A system call as the kernel numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Syscall {
    /// Its number in its ABI.
    pub nr: u16,
    /// `probe_common::syscalls::ABI_NATIVE` or `ABI_COMPAT`.
    pub abi: u16,
}

impl Syscall {
    /// Stands for numbers that no kernel has, and for details over a budget.
    pub const OTHER: Self = Self {
        nr: NR_OTHER,
        abi: 0,
    };

    /// Whether its name is known: not if no kernel has it, or one that is newer than our table.
    pub fn is_named(self) -> bool {
        let nr = usize::from(self.nr);
        let name = if self.abi == ABI_COMPAT {
            compat_name(nr)
        } else {
            native_name(nr)
        };
        name.is_some()
    }

    /// The kernel's name: `openat`, `compat:open` for 32-bit calls, `syscall_600` for numbers newer than our table,
    /// `~other` for [`Syscall::OTHER`].
    pub fn name(self) -> Cow<'static, str> {
        if self.nr == NR_OTHER {
            return Cow::Borrowed("~other");
        }
        let nr = usize::from(self.nr);
        if self.abi == ABI_COMPAT {
            return compat_name(nr).map_or_else(
                || Cow::Owned(format!("compat:syscall_{nr}")),
                |n| format!("compat:{n}").into(),
            );
        }
        native_name(nr).map_or_else(|| Cow::Owned(format!("syscall_{nr}")), Cow::Borrowed)
    }
}

#[cfg(target_arch = "x86_64")]
fn native_name(nr: usize) -> Option<&'static str> {
    syscalls::x86_64::Sysno::new(nr).map(|s| s.name())
}

#[cfg(target_arch = "x86_64")]
fn compat_name(nr: usize) -> Option<&'static str> {
    syscalls::x86::Sysno::new(nr).map(|s| s.name())
}

#[cfg(target_arch = "aarch64")]
fn native_name(nr: usize) -> Option<&'static str> {
    syscalls::aarch64::Sysno::new(nr).map(|s| s.name())
}

#[cfg(target_arch = "aarch64")]
fn compat_name(_nr: usize) -> Option<&'static str> {
    None
}

/// The symbol of an errno: `ENOENT`, `ERESTARTSYS`; `~other` for 0, `E600` for one that we have no name for.
pub fn errno_name(errno: u16) -> Cow<'static, str> {
    if errno == 0 {
        return Cow::Borrowed("~other");
    }
    Errno::new(i32::from(errno))
        .name()
        .map_or_else(|| Cow::Owned(format!("E{errno}")), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_kernel() {
        assert_eq!(Syscall { nr: 512, abi: 0 }.name(), "syscall_512");
        assert_eq!(Syscall::OTHER.name(), "~other");
        assert_eq!(errno_name(2), "ENOENT");
        assert_eq!(errno_name(512), "ERESTARTSYS");
        assert_eq!(errno_name(4000), "E4000");
        assert_eq!(errno_name(0), "~other");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn numbers_that_no_kernel_has_are_not_named() {
        let is_named = |nr, abi| Syscall { nr, abi }.is_named();
        assert!(is_named(0, 0) && is_named(257, 0) && is_named(5, 1));
        // Between the two parts of the table, the numbers of x32, and the last that keys can hold.
        assert!(![400, 512, 1023].iter().any(|nr| is_named(*nr, 0)));
        assert!(!is_named(1023, 1));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn compat_calls_have_their_own_numbers() {
        assert_eq!(Syscall { nr: 257, abi: 0 }.name(), "openat");
        assert_eq!(Syscall { nr: 5, abi: 1 }.name(), "compat:open");
    }
}
