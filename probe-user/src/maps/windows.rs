//! The memory of a mappable map, mapped window by window when it is first touched.
//!
//! What is mapped counts as this process's resident memory, whether it is used or not, and most of a pool never is:
//! entries are handed out from the lowest up.

use std::{
    cell::Cell,
    ffi::c_void,
    io,
    ops::Range,
    os::fd::BorrowedFd,
    ptr::{NonNull, null_mut},
};

use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Bytes mapped at once: a multiple of every page size that Linux has on our machines.
const WINDOW: usize = 64 * 1024;

/// Addresses for all of a map's memory, of which only what was asked for is there.
pub(super) struct Windows {
    base: NonNull<c_void>,
    bytes: usize,
    mapped: Box<[Cell<bool>]>,
}

// SAFETY: the addresses belong to this value alone and are as good in any thread.
unsafe impl Send for Windows {}

impl Windows {
    /// Sets addresses aside for `bytes` bytes, without memory behind them.
    pub(super) fn reserve(bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe { mmap_anonymous(null_mut(), bytes, ProtFlags::empty(), flags) }?;
        Ok(Self {
            base: NonNull::new(base).ok_or_else(|| io::Error::other("mapped at address 0"))?,
            bytes,
            mapped: vec![Cell::new(false); bytes.div_ceil(WINDOW)].into(),
        })
    }

    /// The address of a range of bytes, which is in memory from here on for as long as this value lives.
    ///
    /// `map` must be the same map each time.
    ///
    /// # Errors
    ///
    /// If the range is outside the memory or the kernel refuses to map it.
    pub(super) fn touch(
        &self,
        map: BorrowedFd<'_>,
        range: Range<usize>,
    ) -> io::Result<NonNull<c_void>> {
        if range.is_empty() || range.end > self.bytes {
            return Err(io::Error::other("outside the memory of the map"));
        }
        for window in range.start / WINDOW..=(range.end - 1) / WINDOW {
            if !self.mapped[window].get() {
                self.map(map, window)?;
                self.mapped[window].set(true);
            }
        }
        // SAFETY: the range is inside the reserved addresses.
        Ok(unsafe { self.base.byte_add(range.start) })
    }

    fn map(&self, map: BorrowedFd<'_>, window: usize) -> io::Result<()> {
        let offset = window * WINDOW;
        // SAFETY: the addresses are inside those that `reserve` set aside, and since the window was not mapped before,
        // nobody has a reference into it.
        unsafe {
            mmap(
                self.base.as_ptr().byte_add(offset),
                WINDOW.min(self.bytes - offset),
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::FIXED,
                map,
                offset as u64,
            )
        }?;
        Ok(())
    }

    /// Bytes that have addresses.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        // SAFETY: all of it was mapped by this value, and no reference into it outlives it. A failure would leave the
        // addresses taken, which harms nobody.
        _ = unsafe { munmap(self.base.as_ptr(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::fd::AsFd as _};

    use super::*;

    const SIZE: usize = 3 * WINDOW + 4096;

    fn byte(windows: &Windows, file: &std::fs::File, at: usize) -> u8 {
        let address = windows.touch(file.as_fd(), at..at + 1).unwrap();
        // SAFETY: `touch` has mapped it.
        unsafe { address.cast::<u8>().read() }
    }

    #[test]
    fn every_window_shows_its_own_part() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..SIZE).map(|at| (at / 4096) as u8).collect();
        file.write_all(&content).unwrap();
        let windows = Windows::reserve(SIZE).unwrap();
        for at in [SIZE - 1, 0, WINDOW, WINDOW - 1, 2 * WINDOW + 4096, 0] {
            assert_eq!(byte(&windows, &file, at), content[at], "{at}");
        }
        // Over a border.
        let address = windows.touch(file.as_fd(), WINDOW - 8..WINDOW + 8).unwrap();
        // SAFETY: `touch` has mapped them.
        let both = unsafe { std::slice::from_raw_parts(address.cast::<u8>().as_ptr(), 16) };
        assert_eq!(both, &content[WINDOW - 8..WINDOW + 8]);
    }

    #[test]
    fn only_what_is_touched_is_mapped() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; SIZE]).unwrap();
        let windows = Windows::reserve(SIZE).unwrap();
        byte(&windows, &file, WINDOW);
        let mapped: Vec<bool> = windows.mapped.iter().map(Cell::get).collect();
        assert_eq!(mapped, [false, true, false, false]);
    }

    #[test]
    fn what_lies_outside_is_refused() {
        let file = tempfile::tempfile().unwrap();
        let windows = Windows::reserve(SIZE).unwrap();
        assert!(windows.touch(file.as_fd(), SIZE..SIZE + 1).is_err());
        assert!(windows.touch(file.as_fd(), 5..5).is_err());
    }
}
