//! What `sys_exit` passes to a typed program: registers and result.

use aya_ebpf::{Global, programs::BtfTracePointContext};
use probe_ebpf::offsets::{ABSENT, Reader as _, Trusted};

/// Offset of the member of `pt_regs` that holds the system call's number: `orig_ax`, `syscallno`.
#[unsafe(no_mangle)]
static REGS_NR: Global<u32> = Global::new(ABSENT);

/// Number and result of the call that returns, by `TP_PROTO(struct pt_regs *regs, long ret)`.
#[inline(always)]
pub(crate) fn returned(ctx: &BtfTracePointContext) -> (i64, i64) {
    // SAFETY: the registers are the first argument of `sys_exit`, which the verifier trusts.
    let nr = unsafe { Trusted::field::<i64>(ctx.arg(0), &REGS_NR) };
    (nr, ctx.arg(1))
}
