//! Rows that sum up: can each probe run?

use super::{Check, Facts, State};
use crate::{
    config::Enabled,
    kernel::{
        features::{Feature, Support, tracing_allowed},
        host::Lockdown,
    },
    privileges::{Need, Task, names},
};

/// What a probe asks of the kernel.
struct Probe {
    name: &'static str,
    /// Tracepoints with the directory of their group in the tracing file system.
    tracepoints: &'static [(&'static str, &'static str)],
    /// Whether it reads fields of kernel structs, whose places only BTF tells.
    reads_structs: bool,
    feature: Option<Feature>,
}

const PROBES: [Probe; 3] = [
    Probe {
        name: "syscalls",
        tracepoints: &[("raw_syscalls", "sys_enter"), ("raw_syscalls", "sys_exit")],
        reads_structs: false,
        feature: None,
    },
    Probe {
        name: "scheduler",
        tracepoints: &[
            ("sched", "sched_switch"),
            ("sched", "sched_wakeup"),
            ("sched", "sched_wakeup_new"),
        ],
        reads_structs: true,
        feature: None,
    },
    Probe {
        name: "lifecycle",
        tracepoints: &[
            ("cgroup", "cgroup_mkdir"),
            ("cgroup", "cgroup_rmdir"),
            ("cgroup", "cgroup_attach_task"),
        ],
        reads_structs: true,
        feature: Some(Feature::RingBuffer),
    },
];

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let probes = &facts.config.probes;
    let enabled = [probes.syscalls.enabled, probes.scheduler, probes.lifecycle];
    PROBES
        .iter()
        .zip(enabled)
        .map(|(probe, enabled)| row(facts, probe, enabled))
        .collect()
}

fn row(facts: &Facts, probe: &Probe, enabled: Enabled) -> Check {
    if enabled == Enabled::Never {
        return Check::new(
            Check::PROBES,
            probe.name,
            State::Ok,
            "off in the configuration",
        );
    }
    match obstacle(facts, probe) {
        Some((state, why, remedy)) => {
            Check::new(Check::PROBES, probe.name, state, why).with_remedy(remedy)
        }
        None => {
            let hook = if facts.features.get(Feature::BtfTracepoint).is_yes() {
                "typed tracepoints"
            } else {
                "raw tracepoints"
            };
            Check::new(
                Check::PROBES,
                probe.name,
                State::Ok,
                format!("can run, on {hook}"),
            )
        }
    }
}

/// The first thing that stands in the way, and what to do about it.
fn obstacle(facts: &Facts, probe: &Probe) -> Option<(State, String, String)> {
    let missing = Need::of(Task::Probes).missing_from(facts.held);
    if !missing.is_empty() {
        let caps = names(missing);
        let remedy = format!("run as root, or grant {caps}");
        return Some((State::Missing, format!("lacks {caps}"), remedy));
    }
    if !tracing_allowed(facts.host.lockdown) {
        let why = format!("lockdown is {}", Lockdown::Confidentiality.name());
        return Some((State::Missing, why, "boot with lockdown=integrity".into()));
    }
    if probe.reads_structs && facts.btf.is_err() {
        let why = "needs the kernel's type information (BTF)".into();
        return Some((
            State::Missing,
            why,
            "boot a kernel with CONFIG_DEBUG_INFO_BTF=y".into(),
        ));
    }
    let other = "boot a kernel of a current distribution".to_owned();
    let lacking = probe
        .tracepoints
        .iter()
        .find(|(group, name)| !has(facts, group, name));
    if let Some((_, name)) = lacking {
        let why = format!("the kernel has no tracepoint `{name}`, or nothing tells of it");
        return Some((State::Missing, why, other));
    }
    let hooks = [Feature::BtfTracepoint, Feature::RawTracepoint];
    let answers = hooks.map(|hook| facts.features.get(hook));
    if !answers.iter().any(|answer| answer.is_yes()) {
        return Some(refused("tracepoint programs", answers[1], other));
    }
    let feature = probe.feature.map(|f| (f, facts.features.get(f)));
    match feature {
        Some((feature, answer)) if !answer.is_yes() => Some(refused(feature.name(), answer, other)),
        _ => None,
    }
}

fn refused(what: &str, answer: &Support, other: String) -> (State, String, String) {
    match answer {
        Support::Unknown(error) => (
            State::Unknown,
            format!("{what}: {error}"),
            "run on the host itself, outside of user namespaces and seccomp filters".into(),
        ),
        Support::Yes | Support::No(_) => {
            (State::Missing, format!("the kernel has no {what}"), other)
        }
    }
}

/// Whether a tracepoint exists, by BTF or, without it, by the tracing file system.
fn has(facts: &Facts, group: &str, name: &str) -> bool {
    match &facts.btf {
        Ok(btf) => btf.has_tracepoint(name),
        Err(_) => facts
            .host
            .tracefs
            .as_ref()
            .is_some_and(|tracefs| tracefs.join("events").join(group).join(name).is_dir()),
    }
}
