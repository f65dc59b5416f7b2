//! Programs of the `syscalls` probe for kernels that can preempt a typed program at a system call (Linux 7.2).
//!
//! While a typed program is preempted, the kernel skips it for all other tasks of that CPU: their calls would be missed.
//! The perf-style tracepoints at the same place still run their programs with preemption off, for some more time per
//! call.
#![no_std]
#![no_main]

#[path = "../body/syscalls.rs"]
mod body;

use aya_ebpf::{
    EbpfContext as _, Global,
    helpers::bpf_probe_read_kernel,
    macros::{btf_map, btf_tracepoint, tracepoint},
    programs::{BtfTracePointContext, TracePointContext},
};
use probe_common::loss::READ_FAILED;
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Trusted},
    task::TaskStorage,
};

/// Offset of `id` in the record of `raw_syscalls:sys_exit`. The loader has made sure that `ret` follows.
#[unsafe(no_mangle)]
static RECORD_ID: Global<u32> = Global::new(ABSENT);

/// State of tasks between their calls.
#[btf_map]
static TASKS: TaskStorage<body::Task> = TaskStorage::new();

#[tracepoint]
fn sys_enter(_ctx: TracePointContext) -> u32 {
    body::enter::<Trusted>(&TASKS);
    0
}

#[tracepoint]
fn sys_exit(ctx: TracePointContext) -> u32 {
    let record = ctx.as_ptr().cast::<u8>();
    // A copy, because the verifier takes no offset from the context but a literal one.
    // SAFETY: the helper checks the address itself.
    let fields = unsafe {
        bpf_probe_read_kernel::<[i64; 2]>(record.wrapping_add(RECORD_ID.load() as usize).cast())
    };
    match fields {
        Ok([nr, ret]) => body::exit::<Trusted>(&ctx, &TASKS, nr, ret),
        Err(_) => count_loss(READ_FAILED),
    }
    0
}

/// `TP_PROTO(struct task_struct *task, const char *comm)`. Attached where owners are processes.
#[btf_tracepoint(function = "task_rename")]
fn task_rename(ctx: BtfTracePointContext) -> i32 {
    body::renamed(&ctx);
    0
}
