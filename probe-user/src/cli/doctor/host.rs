//! Rows about the kernel and how the host is set up.

use std::path::Path;

use super::{Check, Facts, State};
use crate::kernel::{
    features::tracing_allowed,
    host::{Host, Lockdown},
};

const AREA: &str = "host";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let host = &facts.host;
    vec![
        btf(facts),
        cpus(facts),
        lockdown(host),
        unprivileged(host),
        paranoid(host),
        jit(host),
        mount(
            "BPF file system",
            host.bpffs.as_deref(),
            "not mounted, and not needed",
        ),
        mount(
            "tracing file system",
            host.tracefs.as_deref(),
            "not mounted; needed from Linux 7.2 on, for exact counts of system calls",
        ),
    ]
}

fn ok(name: &str, detail: impl Into<String>) -> Check {
    Check::new(AREA, name, State::Ok, detail)
}

fn btf(facts: &Facts) -> Check {
    let name = "type information (BTF)";
    match &facts.btf {
        Ok(btf) => ok(
            name,
            format!(
                "{}, {} types",
                facts.roots.btf().display(),
                btf.type_count()
            ),
        ),
        Err(error) => Check::new(AREA, name, State::Missing, error.to_string())
            .with_remedy("boot a kernel of a current distribution; all of them have BTF"),
    }
}

fn cpus(facts: &Facts) -> Check {
    let name = "possible CPUs";
    match &facts.cpus {
        Ok(cpus) => ok(name, format!("{cpus}; per-CPU maps hold as many values")),
        Err(error) => Check::new(AREA, name, State::Unknown, error.to_string())
            .with_remedy("mount the sys file system at /sys"),
    }
}

fn lockdown(host: &Host) -> Check {
    let mode = host.lockdown;
    if !tracing_allowed(mode) {
        return Check::new(
            AREA,
            "lockdown",
            State::Missing,
            "confidentiality: programs must not read kernel memory",
        )
        .with_remedy("boot with lockdown=integrity, or without Secure Boot's lockdown");
    }
    let meaning = match mode {
        Lockdown::Absent => "not on this kernel, or securityfs is not mounted",
        Lockdown::Integrity => "integrity: tracing programs are allowed",
        Lockdown::None | Lockdown::Confidentiality => "none",
    };
    ok("lockdown", meaning)
}

fn unprivileged(host: &Host) -> Check {
    let name = "unprivileged BPF";
    match host.unprivileged_bpf_disabled {
        Some(0) => ok(name, "open to everyone (sysctl is 0)"),
        Some(value) => ok(name, format!("off, as it should be (sysctl is {value})")),
        None => ok(name, "no switch on this kernel"),
    }
}

fn paranoid(host: &Host) -> Check {
    let detail = host.perf_event_paranoid.map_or_else(
        || "no switch on this kernel".into(),
        |level| format!("{level}; CAP_PERFMON stands above it"),
    );
    ok("perf_event_paranoid", detail)
}

fn jit(host: &Host) -> Check {
    let name = "program compiler (JIT)";
    match host.bpf_jit_enable {
        Some(0) => Check::new(
            AREA,
            name,
            State::Degraded,
            "off: programs are interpreted and cost several times as much",
        )
        .with_remedy("sysctl -w net.core.bpf_jit_enable=1"),
        Some(_) => ok(name, "on"),
        None => Check::new(
            AREA,
            name,
            State::Unknown,
            "net.core.bpf_jit_enable is not readable in this network namespace or for this user",
        ),
    }
}

fn mount(name: &str, path: Option<&Path>, absent: &str) -> Check {
    ok(
        name,
        path.map_or_else(|| absent.into(), |path| path.display().to_string()),
    )
}
