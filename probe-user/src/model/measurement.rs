//! What the measuring probes read from their maps: raw ids, counters since attach.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use probe_common::hist::Histogram;

use super::{
    AnswerRow, DropRow, Fates, FreedRow, ListenDropRow, LookupRow, LostCount, Syscall, TcpRow,
    UntrackedRow,
};

/// Whom the counters belong to: a cgroup id or a thread group id, see [`OwnerKind`]. 0 is the shared overflow. By process, those of a
/// cgroup that found no room are `probe_common::owner::OTHER_PROCESSES` and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerId(pub u64);

impl OwnerId {
    /// What found no room in the kernel's tables.
    pub const OVERFLOW: Self = Self(0);
    /// The key of the same in tables by cgroup, where 0 is a socket of the kernel.
    pub const KERNEL_OVERFLOW: Self = Self(u64::MAX);
    /// The root of the hierarchy.
    pub const ROOT: Self = Self(1);

    /// The owner of a socket by the cgroup that the kernel side found. Sockets that no process made, and those of kernels that
    /// keep no cgroup with them, count for the root.
    pub fn of_socket(cgroup: u64) -> Self {
        match Self(cgroup) {
            Self::KERNEL_OVERFLOW => Self::OVERFLOW,
            Self(0) => Self::ROOT,
            other => other,
        }
    }
}

/// What the owner ids of a measurement are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerKind {
    /// Cgroup ids.
    Cgroup,
    /// Thread group ids, for tools that measure by process.
    Process,
}

/// A process as it is at the reading, or was at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its cgroup id when it was first seen.
    pub cgroup: u64,
    /// Name of its first thread.
    pub comm: String,
}

/// One system call of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyscallRow {
    /// Whose calls these are.
    pub owner: OwnerId,
    /// Which call.
    pub syscall: Syscall,
    /// Calls that returned, timed or not.
    pub calls: u64,
    /// Calls that returned an error.
    pub errors: u64,
    /// Durations of the timed calls; fewer than `calls` when latency is sampled or off.
    pub latency: Histogram,
}

/// One errno of one system call of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrnoRow {
    /// Whose calls these are.
    pub owner: OwnerId,
    /// Which call.
    pub syscall: Syscall,
    /// The positive errno; 0 stands for errnos that found no room in the kernel's table.
    pub errno: u16,
    /// Calls that returned it.
    pub count: u64,
}

/// Scheduling of one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedRow {
    /// Whose tasks these are.
    pub owner: OwnerId,
    /// Waits between becoming runnable and running.
    pub runqueue: Histogram,
    /// Times off the CPU after voluntary switches.
    pub offcpu_voluntary: Histogram,
    /// Times off the CPU after involuntary switches.
    pub offcpu_involuntary: Histogram,
    /// Part of `offcpu_voluntary` in uninterruptible sleep.
    pub uninterruptible: Duration,
    /// Completed time on a CPU; add [`RunningRow`] for what runs at the moment.
    pub oncpu: Duration,
    /// Voluntary context switches.
    pub voluntary: u64,
    /// Involuntary context switches.
    pub involuntary: u64,
}

impl SchedRow {
    /// Nothing was measured of this owner.
    pub fn empty(owner: OwnerId) -> Self {
        Self {
            owner,
            runqueue: Histogram::EMPTY,
            offcpu_voluntary: Histogram::EMPTY,
            offcpu_involuntary: Histogram::EMPTY,
            uninterruptible: Duration::ZERO,
            oncpu: Duration::ZERO,
            voluntary: 0,
            involuntary: 0,
        }
    }
}

/// What runs on one CPU at the time of the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningRow {
    /// Owner of the running task.
    pub owner: OwnerId,
    /// For how long it has been running.
    pub elapsed: Duration,
}

/// How often an owner took the CPU from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreemptionRow {
    /// Who was preempted.
    pub victim: OwnerId,
    /// Who ran next.
    pub by: OwnerId,
    /// Number of times.
    pub count: u64,
}

/// Everything that was read in one collection.
#[derive(Clone, Debug, Default)]
pub struct Measurements {
    /// Calls by owner and system call.
    pub syscalls: Vec<SyscallRow>,
    /// Errors by owner, system call and errno.
    pub errnos: Vec<ErrnoRow>,
    /// Scheduling by owner.
    pub sched: Vec<SchedRow>,
    /// What runs right now.
    pub running: Vec<RunningRow>,
    /// Preemptions by victim and preemptor.
    pub preemptions: Vec<PreemptionRow>,
    /// Processes by thread group id, where the owners are processes.
    pub processes: HashMap<u64, ProcessInfo>,
    /// Connections by owner.
    pub tcp: Vec<TcpRow>,
    /// Handshakes that listening sockets dropped, by owner and port.
    pub listen_drops: Vec<ListenDropRow>,
    /// Dropped packets by owner and reason.
    pub drops: Vec<DropRow>,
    /// Packets that the kernel freed with a reason of drops and had not dropped, since attach.
    pub freed: Vec<FreedRow>,
    /// Answers to name look-ups by owner and response code.
    pub answers: Vec<AnswerRow>,
    /// Durations of name look-ups by owner.
    pub lookups: Vec<LookupRow>,
    /// What found no room in the table of flows, by owner.
    pub untracked: Vec<UntrackedRow>,
    /// Packets at sockets, those of TCP left out, where they are looked at.
    pub seen: Option<Fates>,
    /// Connections that ended, where they are looked at.
    pub ended: Option<Fates>,
    /// What the kernel side could not record, since attach.
    pub lost: Vec<LostCount>,
}

impl Measurements {
    /// All owners that have entries in the kernel's tables.
    pub fn owners(&self) -> HashSet<OwnerId> {
        let preemptions = self.preemptions.iter();
        let drops = self.drops.iter().filter_map(|row| row.owner);
        let owners = self.syscalls.iter().map(|row| row.owner);
        owners
            .chain(self.errnos.iter().map(|row| row.owner))
            .chain(self.sched.iter().map(|row| row.owner))
            .chain(preemptions.flat_map(|row| [row.victim, row.by]))
            .chain(self.tcp.iter().map(|row| row.owner))
            .chain(drops)
            .chain(self.answers.iter().map(|row| row.owner))
            .chain(self.lookups.iter().map(|row| row.owner))
            .chain(self.untracked.iter().map(|row| row.owner))
            .collect()
    }
}
