//! How containers share a table of the kernel side.
//!
//! A part of each table is guaranteed: every expected container may always take its share of it. The rest is common. Of the
//! common part a container may take half as much as is still free, so that one container leaves most of it to the others,
//! many containers that all need much get equal parts, and there is room for a newcomer.

/// Tables that one program can share out.
pub const TABLES: usize = 2;

/// Entries that a container has taken, by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Share {
    /// Entries in each table.
    pub used: [u64; TABLES],
}
const _: () = assert!(size_of::<Share>() == 16 && align_of::<Share>() == 8);

// SAFETY: `repr(C)`, integers only, no implicit padding, every bit pattern is valid.
#[cfg(feature = "user")]
unsafe impl aya::Pod for Share {}

/// Whether a container that has `used` entries may take another one, of a table that guarantees it `guaranteed` and has
/// `free` common entries left.
#[inline(always)]
pub const fn may_take(used: u64, guaranteed: u64, free: u64) -> bool {
    used < guaranteed || used - guaranteed < free / 2
}

/// How many of the entries that a container has taken are common ones.
#[inline(always)]
pub const fn common(used: u64, guaranteed: u64) -> u64 {
    used.saturating_sub(guaranteed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUARANTEED: u64 = 8;
    const COMMON: u64 = 1000;

    /// What containers hold that take turns until none may take more.
    fn greedy<const CONTAINERS: usize>() -> [u64; CONTAINERS] {
        let mut used = [0; CONTAINERS];
        loop {
            let mut took = false;
            for index in 0..CONTAINERS {
                let taken: u64 = used.iter().map(|used| common(*used, GUARANTEED)).sum();
                if may_take(used[index], GUARANTEED, COMMON.saturating_sub(taken)) {
                    used[index] += 1;
                    took = true;
                }
            }
            if !took {
                return used;
            }
        }
    }

    #[test]
    fn one_container_leaves_two_thirds_of_the_common_part() {
        assert_eq!(greedy::<1>(), [GUARANTEED + COMMON / 3]);
    }

    #[test]
    fn many_greedy_containers_get_equal_parts_and_stay_within_the_table() {
        fair(&greedy::<2>());
        fair(&greedy::<10>());
        fair(&greedy::<100>());
        fair(&greedy::<400>());
        fair(&greedy::<2000>());
    }

    fn fair(used: &[u64]) {
        let containers = used.len();
        let (least, most) = (used.iter().min(), used.iter().max());
        assert!(most.unwrap() - least.unwrap() <= 1, "{containers}");
        assert!(*least.unwrap() >= GUARANTEED, "{containers}");
        let taken: u64 = used.iter().map(|used| common(*used, GUARANTEED)).sum();
        assert!(taken <= COMMON, "{containers}: {taken}");
    }

    #[test]
    fn a_container_may_always_take_what_it_is_guaranteed() {
        assert!(may_take(GUARANTEED - 1, GUARANTEED, 0));
        assert!(!may_take(GUARANTEED, GUARANTEED, 0));
        assert!(!may_take(GUARANTEED, GUARANTEED, 1));
    }
}
