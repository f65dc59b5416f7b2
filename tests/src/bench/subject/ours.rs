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
    /// Flows of datagrams, name look-ups and connections.
    Flows,
}

impl Ours {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counts => "nodeprobe syscalls, counts",
            Self::Sampled => "nodeprobe syscalls, 1 in 64 timed",
            Self::Exact => "nodeprobe syscalls, all timed",
            Self::Scheduler => "nodeprobe scheduler",
            Self::Flows => "nodeprobe flows and tcp",
        }
    }

    pub(super) fn attach(self, kernel: &Kernel) -> Result<Vec<Attached>> {
        let (names, latency): (&[_], _) = match self {
            Self::Counts => (&["syscalls"], Latency::Off),
            Self::Sampled => (&["syscalls"], Latency::Sampled(limits::LATENCY_SAMPLE)),
            Self::Exact => (&["syscalls"], Latency::Exact),
            Self::Scheduler => (&["scheduler"], Latency::Off),
            Self::Flows => (&["flows", "tcp"], Latency::Off),
        };
        let options = Options {
            latency,
            ..defaults(kernel)
        };
        names
            .iter()
            .map(|name| attach(name, kernel, &options))
            .collect()
    }
}

/// What the agent asks of its probes by default, but for latency.
pub fn defaults(kernel: &Kernel) -> Options {
    Options {
        owners: OwnerKind::Cgroup,
        latency: Latency::Off,
        sizes: Sizes::plan(
            limits::KERNEL_MEMORY,
            limits::OWNERS,
            OwnerKind::Cgroup,
            kernel.possible_cpus,
        ),
        dns: true,
        flow_sampling: 1,
        flow_ignore: Vec::new(),
        rtt_interval: std::time::Duration::ZERO,
        debug: false,
    }
}

/// Attaches one probe.
///
/// # Errors
///
/// If there is no such probe, or the kernel refuses it.
pub fn attach(name: &str, kernel: &Kernel, options: &Options) -> Result<Attached> {
    let spec = probes::spec(name).with_context(|| format!("no probe {name} is registered"))?;
    (spec.attach)(kernel, options).with_context(|| format!("attach probe {name}"))
}
