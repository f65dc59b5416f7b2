//! A row of `nodeprobe runqlat` and `nodeprobe offcpu`.

use std::cmp::Ordering;

use serde::Serialize;

use super::{ContainerRef, HistogramView, ProcessRef, Row};

/// Scheduling of one owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SchedView {
    /// Whose tasks these are.
    pub container: ContainerRef,
    /// Which process, where rows are by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// Waits between becoming runnable and running.
    pub runqueue: HistogramView,
    /// Time on a CPU.
    #[serde(rename = "oncpu_ns", serialize_with = "super::units::seconds")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub oncpu_seconds: f64,
    /// Switches because a task blocked, slept or exited.
    pub voluntary_switches: u64,
    /// Switches while a task could have gone on running.
    pub involuntary_switches: u64,
    /// Times off the CPU after voluntary switches.
    pub offcpu_voluntary: HistogramView,
    /// Times off the CPU after involuntary switches.
    pub offcpu_involuntary: HistogramView,
    /// Part of the voluntary time that was spent in uninterruptible sleep.
    #[serde(
        rename = "uninterruptible_ns",
        serialize_with = "super::units::seconds"
    )]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub uninterruptible_seconds: f64,
    /// Who took the CPU from it, most frequent first.
    pub preempted_by: Vec<PreemptedBy>,
}

/// How often someone took the CPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PreemptedBy {
    /// Who ran next.
    pub container: ContainerRef,
    /// Which process, where rows are by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessRef>,
    /// Number of times.
    pub count: u64,
}

impl Row for SchedView {
    const TYPE: &'static str = "sched";
}

impl SchedView {
    /// Time off the CPU in seconds, for whatever reason.
    pub fn offcpu_seconds(&self) -> f64 {
        self.offcpu_voluntary.sum_seconds + self.offcpu_involuntary.sum_seconds
    }
}

/// What rows of scheduling are sorted by, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SchedOrder {
    /// 0.99-quantile of the waits for a CPU.
    P99,
    /// Number of waits for a CPU.
    Waits,
    /// Total wait for a CPU.
    #[default]
    Wait,
    /// Total time off the CPU.
    Offcpu,
    /// Total time on a CPU.
    Oncpu,
}

impl SchedOrder {
    /// Compares two rows, the larger first; names decide between equals.
    pub fn compare(&self, a: &SchedView, b: &SchedView) -> Ordering {
        let key = |row: &SchedView| match self {
            Self::P99 => row.runqueue.p99_seconds.unwrap_or(0.0),
            Self::Waits => row.runqueue.count as f64,
            Self::Wait => row.runqueue.sum_seconds,
            Self::Offcpu => row.offcpu_seconds(),
            Self::Oncpu => row.oncpu_seconds,
        };
        let names = |row: &SchedView| {
            (
                row.container.display_name(),
                row.process.as_ref().map(|p| p.pid),
            )
        };
        key(b)
            .total_cmp(&key(a))
            .then_with(|| names(a).cmp(&names(b)))
    }
}
