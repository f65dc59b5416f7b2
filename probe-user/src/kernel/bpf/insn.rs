//! The few instructions that questions about the kernel are made of.

use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `struct bpf_insn` on a little-endian machine.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in super::super) struct Insn {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}
const _: () = assert!(size_of::<Insn>() == 8);
// The order of the two register fields follows the byte order.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "only little-endian machines are supported"
);

const fn insn(code: u8, dst: u8, src: u8, offset: i16, immediate: i32) -> Insn {
    Insn {
        code,
        registers: src << 4 | dst,
        offset,
        immediate,
    }
}

/// `dst = immediate`
pub(in super::super) const fn set(dst: u8, immediate: i32) -> Insn {
    insn(0xb7, dst, 0, 0, immediate)
}

/// `dst = src`
pub(in super::super) const fn copy(dst: u8, src: u8) -> Insn {
    insn(0xbf, dst, src, 0, 0)
}

/// `dst = map`, two instructions long
pub(in super::super) fn map(dst: u8, fd: BorrowedFd<'_>) -> [Insn; 2] {
    const PSEUDO_MAP_FD: u8 = 1;
    [
        insn(0x18, dst, PSEUDO_MAP_FD, 0, fd.as_raw_fd()),
        insn(0, 0, 0, 0, 0),
    ]
}

/// `r0 = helper(r1..r5)`
pub(in super::super) const fn call(helper: i32) -> Insn {
    insn(0x85, 0, 0, 0, helper)
}

/// `return r0`
pub(in super::super) const EXIT: Insn = insn(0x95, 0, 0, 0, 0);
