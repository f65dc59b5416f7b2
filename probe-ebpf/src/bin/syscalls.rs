//! Programs of the `syscalls` probe.
#![no_std]
#![no_main]

#[path = "../body/syscalls.rs"]
mod body;
#[path = "../body/registers.rs"]
mod registers;

use aya_ebpf::{
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use probe_ebpf::{offsets::Trusted, task::TaskStorage};

/// State of tasks between their calls.
#[btf_map]
static TASKS: TaskStorage<body::Task> = TaskStorage::new();

/// `TP_PROTO(struct pt_regs *regs, long id)`.
#[btf_tracepoint(function = "sys_enter")]
fn sys_enter(_ctx: BtfTracePointContext) -> i32 {
    body::enter::<Trusted>(&TASKS);
    0
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`.
#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let (nr, ret) = registers::returned(&ctx);
    body::exit::<Trusted>(&ctx, &TASKS, nr, ret);
    0
}

/// `TP_PROTO(struct task_struct *task, const char *comm)`. Attached where owners are processes.
#[btf_tracepoint(function = "task_rename")]
fn task_rename(ctx: BtfTracePointContext) -> i32 {
    body::renamed(&ctx);
    0
}
