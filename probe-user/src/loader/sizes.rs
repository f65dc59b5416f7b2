//! Cuts the memory budget into map sizes.

use probe_common::{scheduler::SchedStats, syscalls::SyscallStats};

use crate::limits;

/// Size of a pool of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Copies of each entry; a power of two.
    pub banks: u32,
    /// Entries in one bank, the overflow entry included.
    pub entries: u32,
    /// Whether every CPU has a bank of its own.
    pub exclusive: bool,
}

impl PoolSize {
    /// The size that a pool of `wanted` entries gets from `budget` bytes on a host with `cpus` CPUs.
    ///
    /// A bank for each CPU is best. Where that leaves fewer than `wanted` entries, CPUs share banks, which costs an
    /// atomic instruction per counter; only where one bank does not hold them either there are fewer entries.
    fn plan(budget: u64, value_size: usize, wanted: u32, cpus: u32) -> Self {
        let cells = (budget / value_size as u64).max(2);
        let mut banks = cpus.max(1).next_power_of_two();
        while banks > 1 && cells / u64::from(banks) < u64::from(wanted) {
            banks /= 2;
        }
        let fit = u32::try_from(cells / u64::from(banks)).unwrap_or(u32::MAX);
        Self {
            banks,
            entries: wanted.min(fit).max(2),
            exclusive: banks >= cpus,
        }
    }

    /// Number of values in the pool's array.
    pub fn values(self) -> u32 {
        self.banks * self.entries
    }
}

/// Sizes of all maps whose size is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Pool of the `syscalls` probe.
    pub calls: PoolSize,
    /// Entries of that pool that are kept for owners whose details find no room.
    pub calls_reserve: u32,
    /// Pool of the `scheduler` probe.
    pub sched: PoolSize,
    /// Errno counts.
    pub errnos: u32,
    /// Pairs of victim and preemptor.
    pub pairs: u32,
    /// Processes that can be named, where owners are processes.
    pub processes: u32,
    /// Flows of datagrams at a time.
    pub flows: u32,
    /// TCP connections at a time.
    pub connections: u32,
    /// Listening sockets.
    pub listeners: u32,
    /// Name look-ups that wait for an answer.
    pub lookups: u32,
    /// Owners that sockets are counted for.
    pub socket_owners: u32,
    /// Pairs of owner and reason of dropped packets.
    pub drops: u32,
    /// Senders, receivers and reasons of dropped packets between two readings.
    pub flow_drops: u32,
}

impl Sizes {
    /// System calls that a container is expected to use; more are welcome where others use fewer.
    const CALLS_PER_OWNER: u32 = 16;

    /// Cuts `budget` bytes for `owners` owners on a host with `cpus` possible CPUs. Histograms take all but a tenth;
    /// hash tables of some 100 bytes an entry share the rest.
    pub fn plan(budget: u64, owners: u32, cpus: u32) -> Self {
        let tables = budget / 10;
        let pools = budget - tables;
        let calls = PoolSize::plan(
            pools * 3 / 4,
            size_of::<SyscallStats>(),
            owners
                .saturating_mul(Self::CALLS_PER_OWNER)
                .saturating_add(1),
            cpus,
        );
        let sched = PoolSize::plan(
            pools / 4,
            size_of::<SchedStats>(),
            owners.saturating_add(1),
            cpus,
        );
        let per_table = u32::try_from(tables / 3 / 100)
            .unwrap_or(u32::MAX)
            .clamp(1024, 1 << 20);
        Self {
            calls,
            calls_reserve: owners.min((calls.entries - 1) / 8),
            sched,
            errnos: per_table,
            pairs: per_table,
            processes: owners.max(1),
            flows: limits::FLOWS,
            connections: limits::CONNECTIONS,
            listeners: limits::LISTENERS,
            lookups: limits::PENDING_LOOKUPS,
            socket_owners: owners.clamp(1, limits::SOCKET_OWNERS),
            drops: limits::DROPS,
            flow_drops: limits::FLOW_DROPS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_small_host_has_a_bank_for_each_cpu() {
        let sizes = Sizes::plan(64 * MIB, 4096, 2);
        assert_eq!(
            sizes.calls,
            PoolSize {
                banks: 2,
                entries: 65_537,
                exclusive: true
            }
        );
        assert_eq!(
            sizes.sched,
            PoolSize {
                banks: 2,
                entries: 4097,
                exclusive: true
            }
        );
    }

    #[test]
    fn the_budget_holds_at_64_cpus_and_10_000_containers() {
        let sizes = Sizes::plan(64 * MIB, 10_000, 64);
        let bytes = u64::from(sizes.calls.values()) * size_of::<SyscallStats>() as u64
            + u64::from(sizes.sched.values()) * size_of::<SchedStats>() as u64;
        assert!(bytes <= 64 * MIB, "{sizes:?}");
        assert!(!sizes.calls.exclusive);
        assert_eq!(
            sizes.sched.entries, 10_001,
            "every container has its scheduler histograms"
        );
        assert!(
            sizes.calls.entries > 10_000,
            "every container has at least one entry for its calls"
        );
    }

    #[test]
    fn cpus_that_are_no_power_of_two_get_a_bank_each() {
        let size = PoolSize::plan(64 * MIB, 256, 100, 6);
        assert_eq!(
            size,
            PoolSize {
                banks: 8,
                entries: 100,
                exclusive: true
            }
        );
    }

    #[test]
    fn a_tiny_budget_still_gives_a_pool() {
        let sizes = Sizes::plan(0, 0, 128);
        assert!(sizes.calls.entries >= 2 && sizes.sched.entries >= 2);
    }
}
