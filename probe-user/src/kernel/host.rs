//! Switches and mounts of the host that decide what a program may do, read and never changed.

mod mounts;

use std::{fs, path::PathBuf};

use super::Roots;
pub use mounts::mount_of;

/// What the kernel keeps even from root, `security/lockdown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Nothing.
    None,
    /// Changes of the running kernel. Tracing programs still work.
    Integrity,
    /// Also reads of kernel memory, which tracing programs live from.
    Confidentiality,
    /// This kernel has no lockdown, or the security file system is not mounted.
    Absent,
}

impl Lockdown {
    /// Lower-case name, as the kernel writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Integrity => "integrity",
            Self::Confidentiality => "confidentiality",
            Self::Absent => "absent",
        }
    }
}

/// Facts about the running system. `None` stands for a switch that this kernel does not have or that
/// could not be read.
#[derive(Clone, Debug)]
pub struct Host {
    /// Kernel release, as `uname -r` prints it. For messages: nothing is decided by it.
    pub release: String,
    /// Machine, as `uname -m` prints it.
    pub machine: String,
    /// Name of this host.
    pub name: String,
    /// Lockdown mode.
    pub lockdown: Lockdown,
    /// `kernel.unprivileged_bpf_disabled`: 0 everyone may use bpf(2), 1 and 2 only privileged users.
    pub unprivileged_bpf_disabled: Option<i64>,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i64>,
    /// `net.core.bpf_jit_enable`: 0 programs are interpreted, 1 compiled, 2 compiled and dumped.
    pub bpf_jit_enable: Option<i64>,
    /// `kernel.bpf_stats_enabled`: whether run times of programs are counted.
    pub bpf_stats_enabled: Option<i64>,
    /// Where a BPF file system is mounted.
    pub bpffs: Option<PathBuf>,
    /// Where the tracing file system is mounted.
    pub tracefs: Option<PathBuf>,
}

impl Host {
    /// Reads everything. What cannot be read stays unknown.
    pub fn read(roots: &Roots) -> Self {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let sysctl = |name: &str| {
            let value = fs::read_to_string(roots.proc.join("sys").join(name)).ok()?;
            value.trim().parse().ok()
        };
        Self {
            release: text(uname.release()),
            machine: text(uname.machine()),
            name: text(uname.nodename()),
            lockdown: fs::read_to_string(roots.sys.join("kernel/security/lockdown"))
                .map_or(Lockdown::Absent, |text| lockdown(&text)),
            unprivileged_bpf_disabled: sysctl("kernel/unprivileged_bpf_disabled"),
            perf_event_paranoid: sysctl("kernel/perf_event_paranoid"),
            bpf_jit_enable: sysctl("net/core/bpf_jit_enable"),
            bpf_stats_enabled: sysctl("kernel/bpf_stats_enabled"),
            bpffs: mount_of(roots, "bpf"),
            tracefs: mount_of(roots, "tracefs"),
        }
    }
}

/// The mode in force stands in brackets: `none [integrity] confidentiality`.
fn lockdown(text: &str) -> Lockdown {
    let active = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    match active.map(|(mode, _)| mode) {
        Some("none") => Lockdown::None,
        Some("integrity") => Lockdown::Integrity,
        Some("confidentiality") => Lockdown::Confidentiality,
        _ => Lockdown::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bracketed_lockdown_mode_is_the_one_in_force() {
        assert_eq!(
            lockdown("[none] integrity confidentiality\n"),
            Lockdown::None
        );
        assert_eq!(
            lockdown("none [integrity] confidentiality\n"),
            Lockdown::Integrity
        );
        assert_eq!(
            lockdown("none integrity [confidentiality]\n"),
            Lockdown::Confidentiality
        );
        for odd in ["", "[", "]none[", "[later]"] {
            assert_eq!(lockdown(odd), Lockdown::Absent, "{odd:?}");
        }
    }

    #[test]
    fn an_empty_host_leaves_everything_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::read(&Roots {
            proc: dir.path().into(),
            sys: dir.path().into(),
        });
        assert_eq!(host.lockdown, Lockdown::Absent);
        assert_eq!(host.unprivileged_bpf_disabled, None);
        assert!(host.bpffs.is_none() && host.tracefs.is_none());
        assert!(!host.release.is_empty());
    }

    #[test]
    fn switches_are_read_below_the_roots() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("sys/kernel/perf_event_paranoid", "-1\n"),
            ("sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ("sys/net/core/bpf_jit_enable", "garbage\n"),
            (
                "self/mountinfo",
                "29 1 0:25 / /sys/fs/bpf rw - bpf bpf rw\n",
            ),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let host = Host::read(&Roots {
            proc: dir.path().into(),
            sys: dir.path().into(),
        });
        assert_eq!(host.perf_event_paranoid, Some(-1));
        assert_eq!(host.unprivileged_bpf_disabled, Some(2));
        assert_eq!(host.bpf_jit_enable, None);
        assert_eq!(host.bpffs.unwrap().to_str(), Some("/sys/fs/bpf"));
    }
}
