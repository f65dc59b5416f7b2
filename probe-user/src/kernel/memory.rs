//! Memory of this process.

use std::time::{Duration, Instant};

/// How often free memory is returned to the system. It takes about a millisecond.
const EVERY: Duration = Duration::from_secs(30);

/// Blocks of at least this size are mapped one by one, so that freeing one returns it at once.
#[cfg(target_env = "gnu")]
const MAPPED_BLOCK: libc::c_int = 1 << 20;

/// Returns free memory to the system: after something has needed much memory that is not needed again.
///
/// The allocator keeps what is freed below a block in use, in a pool for each group of threads, for ever.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function may be called at any time; it returns free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Keeps large blocks out of the allocator's pools. By default it gives that up as soon as one such block was freed.
pub fn map_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function may be called at any time; a value that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BLOCK);
    }
}

/// Returns free memory to the system from time to time.
#[derive(Debug)]
pub struct Trimmer {
    last: Instant,
}

impl Trimmer {
    /// The first time is half a minute from now.
    pub fn new(now: Instant) -> Self {
        Self { last: now }
    }

    /// Returns free memory if that was not done in the last half minute. Answers whether it was done.
    pub fn tick(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.last) >= EVERY;
        if due {
            self.last = now;
            give_memory_back();
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    fn resident_mib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("RssAnon:"))
            .unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn memory_that_is_freed_below_a_block_in_use_comes_back() {
        const BLOCKS: usize = 256 * 1024;
        let blocks: Vec<Box<[u8; 1024]>> = (0..BLOCKS)
            .map(|_| black_box(Box::new([1; 1024])))
            .collect();
        let full = resident_mib();
        // One in a thousand stays, so that the pool cannot shrink from its end.
        let kept: Vec<_> = blocks.into_iter().step_by(1000).collect();
        let mut trimmer = Trimmer::new(Instant::now());
        assert!(!trimmer.tick(Instant::now()));
        assert!(trimmer.tick(Instant::now() + EVERY));
        // Other tests run in this process meanwhile.
        let left = resident_mib();
        assert!(left + 128 < full, "{full} MiB before, {left} MiB after");
        assert_eq!(kept.len(), BLOCKS.div_ceil(1000));
    }
}
