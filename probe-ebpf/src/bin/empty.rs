//! Programs that do nothing, at the hooks of the measuring probes: what any program there costs.
//!
//! Loaded by the benchmark only, which states the cost of a probe as a multiple of these.
#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{btf_tracepoint, cgroup_skb},
    programs::{BtfTracePointContext, SkBuffContext},
};
use probe_ebpf as _;

/// Nothing at `sys_enter`.
#[btf_tracepoint(function = "sys_enter")]
fn empty_enter(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// Nothing at `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
fn empty_exit(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// One reading of the clock at `sys_enter`.
#[btf_tracepoint(function = "sys_enter")]
fn clock_enter(_ctx: BtfTracePointContext) -> i32 {
    clock()
}

/// One reading of the clock at `sys_exit`.
#[btf_tracepoint(function = "sys_exit")]
fn clock_exit(_ctx: BtfTracePointContext) -> i32 {
    clock()
}

/// Nothing at `sched_wakeup`.
#[btf_tracepoint(function = "sched_wakeup")]
fn empty_wakeup(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// Nothing at `sched_switch`.
#[btf_tracepoint(function = "sched_switch")]
fn empty_switch(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// Nothing for a packet that a socket sends; 1 lets it pass.
#[cgroup_skb(egress)]
fn empty_egress(_ctx: SkBuffContext) -> i32 {
    1
}

/// Nothing for a packet that a socket receives.
#[cgroup_skb(ingress)]
fn empty_ingress(_ctx: SkBuffContext) -> i32 {
    1
}

/// Reads the clock and uses the reading, so that the call stays.
#[inline(always)]
fn clock() -> i32 {
    // SAFETY: the helper has no requirement.
    i32::from(unsafe { bpf_ktime_get_ns() } == 0)
}
