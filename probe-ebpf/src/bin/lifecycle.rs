//! Programs of the `lifecycle` probe: cgroups appear, get tasks and vanish.
#![no_std]
#![no_main]

use aya_ebpf::{
    Global,
    btf_maps::RingBuf,
    helpers::generated::bpf_probe_read_kernel_str,
    macros::{btf_map, btf_tracepoint},
    programs::BtfTracePointContext,
};
use probe_common::{
    lifecycle::{CGROUP_ATTACH_TASK, CGROUP_MKDIR, CGROUP_RMDIR, CgroupEvent, PATH_LEN},
    loss::{PATH_CUT, READ_FAILED, RING_FULL},
};
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Reader as _, Trusted},
    owner,
};

/// Bytes of the ring; a power of two and a multiple of the page size.
const RING_BYTES: usize = 1 << 20;

/// The hierarchy whose cgroups are reported: 0 is cgroup v2, others are numbered in `/proc/cgroups`.
#[unsafe(no_mangle)]
static HIERARCHY: Global<u32> = Global::new(0);
/// Offset of `cgroup.root`.
#[unsafe(no_mangle)]
static CGROUP_ROOT: Global<u32> = Global::new(ABSENT);
/// Offset of `cgroup_root.hierarchy_id`.
#[unsafe(no_mangle)]
static CGROUP_ROOT_HIERARCHY_ID: Global<u32> = Global::new(ABSENT);

/// Records for user space. A ring of its own, so that nothing else can fill it up.
#[btf_map]
static EVENTS: RingBuf<CgroupEvent, RING_BYTES> = RingBuf::new();

/// `TP_PROTO(struct cgroup *cgrp, const char *path)`.
#[btf_tracepoint(function = "cgroup_mkdir")]
fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    report(CGROUP_MKDIR, ctx.arg(0), ctx.arg(1));
    0
}

/// `TP_PROTO(struct cgroup *cgrp, const char *path)`.
#[btf_tracepoint(function = "cgroup_rmdir")]
fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    report(CGROUP_RMDIR, ctx.arg(0), ctx.arg(1));
    0
}

/// `TP_PROTO(struct cgroup *dst_cgrp, const char *path, struct task_struct *task, bool threadgroup)`.
#[btf_tracepoint(function = "cgroup_attach_task")]
fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    report(CGROUP_ATTACH_TASK, ctx.arg(0), ctx.arg(1));
    0
}

#[inline(always)]
fn report(kind: u32, cgroup: *const u8, path: *const u8) {
    // SAFETY: the cgroup is an argument of the tracepoint, which the verifier trusts.
    unsafe {
        let root: usize = Trusted::field(cgroup, &CGROUP_ROOT);
        let hierarchy: u32 = Trusted::field(root as *const u8, &CGROUP_ROOT_HIERARCHY_ID);
        if hierarchy != HIERARCHY.load() {
            return;
        }
        let Some(mut record) = EVENTS.reserve(0) else {
            count_loss(RING_FULL);
            return;
        };
        let event = record.as_mut_ptr();
        (*event).kind = kind;
        (*event).cgroup = owner::cgroup_id::<Trusted>(cgroup);
        let copied = bpf_probe_read_kernel_str(
            (&raw mut (*event).path).cast(),
            PATH_LEN as u32,
            path.cast(),
        );
        // The helper counts the terminating zero.
        (*event).path_len = if copied > 0 { copied as u32 - 1 } else { 0 };
        if copied <= 0 {
            count_loss(READ_FAILED);
        } else if copied as usize == PATH_LEN {
            count_loss(PATH_CUT);
        }
        // Rare, so the default wake-up of the reader is affordable.
        record.submit(0);
    }
}
