//! Programs of the `syscalls` probe for kernels without task storage (before Linux 5.11).
#![no_std]
#![no_main]

#[path = "../body/syscalls.rs"]
mod body;
#[path = "../body/registers.rs"]
mod registers;

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use probe_ebpf::{
    offsets::Copied,
    task::{TaskHash, TaskTable as _},
};

/// State of tasks between their calls.
#[btf_map]
static TASKS: TaskHash<body::Task> = TaskHash::new();

/// `TP_PROTO(struct pt_regs *regs, long id)`.
#[btf_tracepoint(function = "sys_enter")]
fn sys_enter(_ctx: BtfTracePointContext) -> i32 {
    body::enter::<Copied>(&TASKS);
    0
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`.
#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    let (nr, ret) = registers::returned(&ctx);
    body::exit::<Copied>(&ctx, &TASKS, nr, ret);
    0
}

/// `TP_PROTO(struct task_struct *p)`. Runs in the task that exits, whose last call does not return.
#[btf_tracepoint(function = "sched_process_exit")]
fn sched_process_exit(_ctx: BtfTracePointContext) -> i32 {
    TASKS.forget(bpf_get_current_pid_tgid() as u32);
    0
}

/// `TP_PROTO(struct task_struct *task, const char *comm)`. Attached where owners are processes.
#[btf_tracepoint(function = "task_rename")]
fn task_rename(ctx: BtfTracePointContext) -> i32 {
    body::renamed(&ctx);
    0
}
