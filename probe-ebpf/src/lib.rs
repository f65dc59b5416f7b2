//! Shared parts of the kernel programs: what more than one of them needs, and the bodies that twins share.
//!
//! A program's entry points are in `src/bin`. Where two objects differ only in the kernel features that they use, both
//! include one body from `src/body`. Maps are defined in bodies and entry points, never here: what this library defines
//! ends up in every object, needed or not. Rules: every map look-up can fail and every failure is counted, no struct offset is written as a
//! number, loops are bounded by a constant.
#![no_std]
#![feature(asm_experimental_arch)]

pub mod count;
pub mod loss;
pub mod offsets;
pub mod owner;
pub mod packet;
pub mod pool;
pub mod share;
pub mod socket;
pub mod table_share;
pub mod task;

/// Lets the kernel helpers that are reserved for GPL programs be called.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
