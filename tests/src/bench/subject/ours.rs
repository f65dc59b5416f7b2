//! Our probes, as the agent attaches them by default.

use anyhow::{Context as _, Result};
use probe_user::{
    limits,
    loader::{Kernel, Sizes},
    model::OwnerKind,
    probes::{self, Attached, Latency, Options},
};

/// A probe in one of its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ours {
    /// Calls and errors.
    Counts,
    /// With the durations of one call in 64.
    Sampled,
    /// With the durations of all.
    Exact,
    /// Run-queue latency, time on and off the CPU, switches, preemptions.
    Scheduler,
}

impl Ours {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counts => "nodeprobe syscalls, counts",
            Self::Sampled => "nodeprobe syscalls, 1 in 64 timed",
            Self::Exact => "nodeprobe syscalls, all timed",
            Self::Scheduler => "nodeprobe scheduler",
        }
    }

    pub(super) fn attach(self, kernel: &Kernel) -> Result<Attached> {
        let (probe, latency) = match self {
            Self::Counts => ("syscalls", Latency::Off),
            Self::Sampled => ("syscalls", Latency::Sampled(limits::LATENCY_SAMPLE)),
            Self::Exact => ("syscalls", Latency::Exact),
            Self::Scheduler => ("scheduler", Latency::Off),
        };
        let options = Options {
            owners: OwnerKind::Cgroup,
            latency,
            sizes: Sizes::plan(limits::KERNEL_MEMORY, limits::OWNERS, kernel.possible_cpus),
            dns: false,
            flow_sampling: 1,
            flow_ignore: Vec::new(),
            debug: false,
        };
        let spec = probes::spec(probe).context("the registry has the probe")?;
        (spec.attach)(kernel, &options).with_context(|| format!("attach probe {probe}"))
    }
}
