//! A row of `nodeprobe syscalls`.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::Serialize;

use super::{ContainerRef, HistogramView, ProcessRef, Row};

/// Calls of one owner, or of one system call of one owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SyscallView {
    /// Whose calls these are.
    pub container: ContainerRef,
    /// Which process, where rows are by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// Name of the call, where rows are by call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
    /// Calls that returned.
    pub calls: u64,
    /// Calls that returned an error.
    pub errors: u64,
    /// Errors by symbol; `~other` for those whose errno found no room.
    pub errnos: BTreeMap<String, u64>,
    /// Durations of the timed calls; absent when latency is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<HistogramView>,
}

impl Row for SyscallView {
    const TYPE: &'static str = "syscall";
}

impl SyscallView {
    /// Sum of the durations of the timed calls in seconds.
    pub fn total_seconds(&self) -> f64 {
        self.latency
            .as_ref()
            .map_or(0.0, |latency| latency.sum_seconds)
    }

    /// Calls whose duration is known.
    pub fn timed(&self) -> u64 {
        self.latency.as_ref().map_or(0, |latency| latency.count)
    }
}

/// What rows of system calls are sorted by, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SyscallOrder {
    /// Number of calls.
    #[default]
    Calls,
    /// Number of errors.
    Errors,
    /// Total time of the timed calls.
    Time,
}

impl SyscallOrder {
    /// Compares two rows, the larger first; names decide between equals.
    pub fn compare(&self, a: &SyscallView, b: &SyscallView) -> Ordering {
        let larger_first = match self {
            Self::Calls => b.calls.cmp(&a.calls),
            Self::Errors => b.errors.cmp(&a.errors),
            Self::Time => b.total_seconds().total_cmp(&a.total_seconds()),
        };
        larger_first
            .then(b.calls.cmp(&a.calls))
            .then_with(|| names(a).cmp(&names(b)))
    }
}

fn names(row: &SyscallView) -> (String, Option<u32>, Option<&str>) {
    (
        row.container.display_name(),
        row.process.as_ref().map(|p| p.pid),
        row.syscall.as_deref(),
    )
}
