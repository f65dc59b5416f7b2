//! Waiting for and using CPUs, by container.

use super::{Bounds, C, Desc, counter, histogram, seconds_counter};

/// Run-queue latency.
pub static SCHED_RUNQUEUE_LATENCY: Desc = histogram(
    "nodeprobe_sched_runqueue_latency_seconds",
    "Waits of tasks for a CPU, from becoming runnable to running.",
    Bounds::Fine,
    C,
    16,
);

/// Time blocked; `state` is `interruptible` or `uninterruptible`.
pub static SCHED_OFFCPU: Desc = seconds_counter(
    "nodeprobe_sched_offcpu_seconds_total",
    "Time tasks spent off the CPU after voluntary switches, by state of sleep.",
    &["namespace", "pod", "container", "state"],
    2,
);

/// Times off the CPU; `kind` is `voluntary` or `involuntary`.
pub static SCHED_OFFCPU_DURATION: Desc = histogram(
    "nodeprobe_sched_offcpu_duration_seconds",
    "Times off the CPU from switch to next run, by kind of switch.",
    Bounds::Coarse,
    &["namespace", "pod", "container", "kind"],
    20,
);

/// Time on a CPU.
pub static SCHED_ONCPU: Desc = seconds_counter(
    "nodeprobe_sched_oncpu_seconds_total",
    "Time tasks spent on a CPU, the running ones included.",
    C,
    1,
);

/// Context switches; `kind` is `voluntary` or `involuntary`.
pub static SCHED_CONTEXT_SWITCHES: Desc = counter(
    "nodeprobe_sched_context_switches_total",
    "Context switches away from tasks of the container, by kind.",
    &["namespace", "pod", "container", "kind"],
    2,
);

/// Preemptions by whom. The preemptor's container stands for its workload: `by_workload` is the container's name,
/// `by_workload_kind` is empty, `by_namespace` its namespace label (empty outside Kubernetes, or `~host`).
pub static SCHED_PREEMPTIONS: Desc = counter(
    "nodeprobe_sched_preemptions_total",
    "Times a runnable task of the container lost its CPU, by owner of the task that ran next.",
    &[
        "namespace",
        "pod",
        "container",
        "by_namespace",
        "by_workload",
        "by_workload_kind",
    ],
    4,
);
