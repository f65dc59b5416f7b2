//! The other side's FIN where the local side has closed first and let go of its socket: a small one waits for it.

use aya_ebpf::{Global, programs::FExitContext};
use probe_common::{loss::RING_FULL, tcp::LateFin};
use probe_ebpf::{
    loss::count_loss,
    offsets::{ABSENT, Reader as _, Trusted},
};

use super::table::{ENDS, SKC_COOKIE};

/// Offset of `inet_timewait_sock.tw_substate`.
#[unsafe(no_mangle)]
static TW_SUBSTATE: Global<u32> = Global::new(ABSENT);
/// Offset of the byte that holds `tcphdr.fin`.
#[unsafe(no_mangle)]
static TCPHDR_FIN: Global<u32> = Global::new(ABSENT);
/// Its lowest bit in that byte.
#[unsafe(no_mangle)]
static TCPHDR_FIN_SHIFT: Global<u32> = Global::new(0);

/// `TCP_TIME_WAIT`, `include/net/tcp_states.h`: what the small socket is in once it has taken the FIN.
const TIME_WAIT: u8 = 6;

/// Tells of a FIN that the small socket took. One that comes again is told again.
#[inline(always)]
pub(crate) fn on_segment(ctx: &FExitContext) {
    let (small, header): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(2));
    // SAFETY: socket and header are arguments of the function, which the verifier trusts. A `struct inet_timewait_sock` begins
    // with its `struct sock_common`.
    let cookie = unsafe {
        let byte: u8 = Trusted::field(header, &TCPHDR_FIN);
        if u32::from(byte) >> (TCPHDR_FIN_SHIFT.load() & 7) & 1 == 0 {
            return;
        }
        if Trusted::field::<u8>(small, &TW_SUBSTATE) != TIME_WAIT {
            return;
        }
        Trusted::field::<u64>(small, &SKC_COOKIE)
    };
    let Some(mut record) = ENDS.reserve_untyped::<LateFin>(0) else {
        count_loss(RING_FULL);
        return;
    };
    record.write(LateFin { cookie });
    record.submit(u64::from(aya_ebpf::bindings::BPF_RB_NO_WAKEUP));
}
