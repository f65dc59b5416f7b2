//! One picture of the live table.

use std::time::Duration;

use serde::Serialize;

use super::ContainerRef;
use crate::model::{FeatureState, ProbeHealth};

/// What the live table shows at one moment: rates since the moment before.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LiveView {
    /// Facts about the host and the agent.
    pub header: LiveHeader,
    /// One per container, in any order.
    pub rows: Vec<LiveRow>,
}

/// Facts about the host and the agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LiveHeader {
    /// Name of the node.
    pub host: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// How long the agent has been running.
    #[serde(rename = "uptime_ns", serialize_with = "super::units::duration")]
    pub uptime: Duration,
    /// The probes.
    pub probes: Vec<ProbeState>,
    /// What was lost per second since the picture before.
    pub lost_per_second: f64,
    /// What was lost since the start.
    pub lost_total: u64,
    /// Exported series.
    pub series: u64,
    /// Where `/metrics` is served, as `address:port`.
    pub listen: Option<String>,
    /// Containers that are known, shown or not.
    pub containers: usize,
    /// Share of one CPU that the agent uses; `None` until two readings exist.
    pub agent_cpu: Option<f64>,
    /// Memory of the agent in bytes.
    pub agent_rss_bytes: Option<u64>,
    /// Share of one CPU that the BPF programs use; `None` unless the kernel counts it.
    pub bpf_cpu: Option<f64>,
}

/// State of one probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProbeState {
    /// Its name.
    pub probe: String,
    /// See [`FeatureState::name`].
    pub state: &'static str,
    /// Why it is in that state, where there is something to say.
    pub reason: Option<String>,
}

impl From<&ProbeHealth> for ProbeState {
    fn from(health: &ProbeHealth) -> Self {
        Self {
            probe: health.probe.into(),
            state: FeatureState::name(&health.state),
            reason: health.state.reason().map(str::to_owned),
        }
    }
}

/// One container at one moment. `None` is "not measured", which is not the same as 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LiveRow {
    /// Which container.
    pub container: ContainerRef,
    /// System calls per second.
    pub syscalls_per_second: Option<f64>,
    /// Failed system calls per second.
    pub errors_per_second: Option<f64>,
    /// Median duration of system calls in seconds.
    pub syscall_p50: Option<f64>,
    /// 0.99-quantile of the duration of system calls in seconds.
    pub syscall_p99: Option<f64>,
    /// 0.99-quantile of the wait for a CPU in seconds.
    pub runqueue_p99: Option<f64>,
    /// CPU time per second: 1.0 is one CPU.
    pub cpu: Option<f64>,
    /// Who takes the CPU from it most often.
    pub top_preemptor: Option<Preemptor>,
}

/// Who takes the CPU, and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preemptor {
    /// Display name of the container.
    pub name: String,
    /// Preemptions per second.
    pub per_second: f64,
}
