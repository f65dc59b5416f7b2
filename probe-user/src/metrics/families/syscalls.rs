//! System calls by container.

use super::{Bounds, C, Desc, counter, histogram, off_by_default};

/// Calls that returned.
pub static SYSCALLS: Desc = counter(
    "nodeprobe_syscalls_total",
    "System calls that returned, by call; 32-bit calls are named compat:call.",
    &["namespace", "pod", "container", "syscall"],
    11,
);

/// Calls that failed.
pub static SYSCALL_ERRORS: Desc = counter(
    "nodeprobe_syscall_errors_total",
    "System calls that returned an error, by call and errno.",
    &["namespace", "pod", "container", "syscall", "errno"],
    6,
);

/// Durations, all calls of a container together.
pub static SYSCALL_DURATION: Desc = histogram(
    "nodeprobe_syscall_duration_seconds",
    "Durations of timed system calls, waiting included. Counts timed calls, see nodeprobe_sampling_ratio.",
    Bounds::Coarse,
    C,
    10,
);

/// Durations by call.
pub static SYSCALL_EXACT_DURATION: Desc = off_by_default(histogram(
    "nodeprobe_syscall_exact_duration_seconds",
    "Durations of timed system calls by call. Buckets in the native form only.",
    Bounds::InfOnly,
    &["namespace", "pod", "container", "syscall"],
    18,
));
