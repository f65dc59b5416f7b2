//! A container's share of a table, see `probe_common::share`.
//!
//! Only the first use of a key comes here, so two more look-ups do not matter. Programs on several CPUs may each take an entry
//! that only one of them should have: a share is exceeded by at most one entry a CPU.

use aya_ebpf::{
    Global,
    bindings::BPF_NOEXIST,
    btf_maps::{Array, HashMap},
};
use probe_common::{
    loss::MAP_MISSING,
    share::{self, Share, TABLES},
};

use crate::{count::add_shared, loss::count_loss};

/// Entries of the first table that each container may always take.
#[unsafe(no_mangle)]
static GUARANTEED_0: Global<u32> = Global::new(0);
/// Common entries of the first table.
#[unsafe(no_mangle)]
static COMMON_0: Global<u32> = Global::new(0);
/// As `GUARANTEED_0`, of the second table.
#[unsafe(no_mangle)]
static GUARANTEED_1: Global<u32> = Global::new(0);
/// As `COMMON_0`, of the second table.
#[unsafe(no_mangle)]
static COMMON_1: Global<u32> = Global::new(0);

/// What each container has taken, by cgroup.
pub type Shares = HashMap<u64, Share, 1>;
/// Common entries that are taken, by table.
pub type CommonUsed = Array<u64, TABLES>;

/// One table that is shared out, by its number.
pub struct Shared<const TABLE: u32>;

impl<const TABLE: u32> Shared<TABLE> {
    #[inline(always)]
    fn guaranteed() -> u64 {
        u64::from(if TABLE == 0 {
            GUARANTEED_0.load()
        } else {
            GUARANTEED_1.load()
        })
    }

    #[inline(always)]
    fn common() -> u64 {
        u64::from(if TABLE == 0 {
            COMMON_0.load()
        } else {
            COMMON_1.load()
        })
    }

    /// Whether a container may take another entry.
    #[inline(always)]
    pub fn may_take(shares: &Shares, used: &CommonUsed, cgroup: u64) -> bool {
        let taken = match shares.get_ptr(cgroup) {
            // SAFETY: the pointer is that of a map value.
            Some(share) => unsafe { (*share).used[TABLE as usize % TABLES] },
            None => 0,
        };
        let Some(common) = used.get(TABLE) else {
            count_loss(MAP_MISSING);
            return false;
        };
        let free = Self::common().saturating_sub(*common);
        share::may_take(taken, Self::guaranteed(), free)
    }

    /// Counts an entry that a container is about to take. `false` if the container is one more than can be told apart: it must
    /// not take it.
    #[inline(always)]
    pub fn take(shares: &Shares, used: &CommonUsed, cgroup: u64) -> bool {
        if shares.get_ptr(cgroup).is_none() {
            // Found again below, so that a CPU which inserts the same key at the same time loses nothing.
            let nothing = Share { used: [0; TABLES] };
            _ = shares.insert(cgroup, nothing, u64::from(BPF_NOEXIST));
        }
        let Some(share) = shares.get_ptr_mut(cgroup) else {
            return false;
        };
        // SAFETY: both pointers are those of map values.
        unsafe {
            let own = &raw mut (*share).used[TABLE as usize % TABLES];
            if own.read() >= Self::guaranteed()
                && let Some(common) = used.get_ptr_mut(TABLE)
            {
                add_shared(common, 1);
            }
            add_shared(own, 1);
        }
        true
    }

    /// Takes back what [`take`](Self::take) counted, of an entry that was not needed.
    #[inline(always)]
    pub fn give_back(shares: &Shares, used: &CommonUsed, cgroup: u64) {
        const ONE_LESS: u64 = u64::MAX;
        let Some(share) = shares.get_ptr_mut(cgroup) else {
            return;
        };
        // SAFETY: both pointers are those of map values.
        unsafe {
            let own = &raw mut (*share).used[TABLE as usize % TABLES];
            if own.read() > Self::guaranteed()
                && let Some(common) = used.get_ptr_mut(TABLE)
            {
                add_shared(common, ONE_LESS);
            }
            add_shared(own, ONE_LESS);
        }
    }
}
