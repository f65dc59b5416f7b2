//! Facts of the machine without which no figure means anything.

use std::{fs, path::Path, thread};

use probe_user::{
    kernel::{Roots, host::Host},
    loader::Kernel,
};
use serde::Serialize;

use super::{programs, workload};

/// The machine that the figures belong to.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// CPUs that are online.
    pub cpus: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Machine, as `uname -m` prints it.
    pub machine: String,
    /// Whether BPF programs are compiled.
    pub jit: bool,
    /// What the kernel does against speculation at indirect branches.
    pub mitigations: String,
    /// How containers are told apart.
    pub cgroups: String,
    /// Whether the kernel counts run times of programs all the time, which makes all of them
    /// slower.
    pub statistics_always_on: bool,
    /// Whether workloads have a real-time priority.
    pub real_time: bool,
    /// Tracing programs that were there before.
    pub other_programs: usize,
    /// Load averages before the run, as the kernel writes them.
    pub load: String,
}

impl Machine {
    /// Reads everything. What cannot be read is empty.
    pub fn read(roots: &Roots, kernel: &Kernel) -> Self {
        let host = Host::read(roots);
        let text = |path: &Path| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let model = text(&roots.proc.join("cpuinfo"))
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map(|(_, name)| name.trim().to_owned());
        Self {
            processor: model.unwrap_or_default(),
            cpus: thread::available_parallelism().map_or(0, usize::from),
            kernel: host.release,
            machine: host.machine,
            jit: host.bpf_jit_enable.is_some_and(|mode| mode > 0),
            mitigations: text(
                &roots
                    .sys
                    .join("devices/system/cpu/vulnerabilities/spectre_v2"),
            ),
            cgroups: kernel.cgroups.describe(),
            statistics_always_on: host.bpf_stats_enabled == Some(1),
            real_time: thread::spawn(workload::real_time).join().unwrap_or(false),
            other_programs: programs::tracing().map_or(0, |programs| programs.len()),
            load: text(&roots.proc.join("loadavg")),
        }
    }
}
