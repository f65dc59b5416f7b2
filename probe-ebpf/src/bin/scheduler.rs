//! Programs of the `scheduler` probe.
#![no_std]
#![no_main]

#[path = "../body/scheduler.rs"]
mod body;

use aya_ebpf::{
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use probe_ebpf::task::TaskStorage;

/// State of tasks between their switches.
#[btf_map]
static TASKS: TaskStorage<body::Task> = TaskStorage::new();

/// `TP_PROTO(struct task_struct *p)`.
#[btf_tracepoint(function = "sched_wakeup")]
fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    body::wakeup(&TASKS, ctx.arg(0));
    0
}

/// `TP_PROTO(struct task_struct *p)`.
#[btf_tracepoint(function = "sched_wakeup_new")]
fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    body::wakeup_new(&TASKS, ctx.arg(0));
    0
}

/// `TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)`.
#[btf_tracepoint(function = "sched_switch")]
fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    body::switch(&ctx, &TASKS);
    0
}

/// `TP_PROTO(struct task_struct *task, const char *comm)`. Attached where owners are processes.
#[btf_tracepoint(function = "task_rename")]
fn task_rename(ctx: BtfTracePointContext) -> i32 {
    body::renamed(&ctx);
    0
}
