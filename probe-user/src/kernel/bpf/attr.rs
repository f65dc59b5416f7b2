//! `union bpf_attr`, filled field by field at the offsets of `include/uapi/linux/bpf.h`.

use std::os::fd::{AsRawFd as _, BorrowedFd};

/// The argument of bpf(2). Zero but for what was set, as the kernel demands of fields that it does not know.
#[repr(C, align(8))]
pub(super) struct Attr([u8; Attr::LEN]);

impl Default for Attr {
    fn default() -> Self {
        Self([0; Self::LEN])
    }
}

impl Attr {
    pub(super) const LEN: usize = 128;

    pub(super) fn u32(&mut self, offset: usize, value: u32) -> &mut Self {
        self.bytes(offset, value.to_ne_bytes())
    }

    pub(super) fn fd(&mut self, offset: usize, fd: BorrowedFd<'_>) -> &mut Self {
        self.bytes(offset, fd.as_raw_fd().to_ne_bytes())
    }

    /// A pointer; the one who makes the call answers for it.
    pub(super) fn pointer<T>(&mut self, offset: usize, pointer: *const T) -> &mut Self {
        self.bytes(offset, (pointer as u64).to_ne_bytes())
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) -> &mut Self {
        self.0[offset..offset + N].copy_from_slice(&bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_they_were_put() {
        let mut attr = Attr::default();
        attr.u32(4, 1).u32(124, 2);
        assert_eq!(attr.0[4..8], 1u32.to_ne_bytes());
        assert_eq!(attr.0[124..], 2u32.to_ne_bytes());
        assert_eq!(attr.0.iter().filter(|b| **b != 0).count(), 2);
    }
}
