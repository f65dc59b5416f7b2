//! The kernel's monotonic clock, which `bpf_ktime_get_ns` reads too.

use std::time::Duration;

/// Time since boot, without time suspended.
pub fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // The kernel answers neither negative seconds nor a billion nanoseconds.
    Duration::new(
        now.tv_sec.unsigned_abs(),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
