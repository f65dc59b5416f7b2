//! Cuts the memory budget into map sizes.

use probe_common::{scheduler::SchedStats, syscalls::SyscallStats};

use crate::{limits, model::OwnerKind};

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

/// How a table is shared out among containers, see `probe_common::share`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Entries that each container may always take.
    pub guaranteed: u32,
    /// Entries for those that need more.
    pub common: u32,
}

impl Division {
    /// Shares out `entries` among `containers`: half of them is guaranteed.
    fn plan(entries: u32, containers: u32) -> Self {
        let guaranteed = entries / 2 / containers.max(1);
        Self {
            guaranteed,
            common: entries - guaranteed * containers,
        }
    }
}

/// Sizes of all maps whose size is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Pool of the `syscalls` probe.
    pub calls: PoolSize,
    /// Entries of that pool that are kept for owners whose details find no room.
    pub calls_reserve: u32,
    /// How the other entries are shared out.
    pub calls_division: Division,
    /// Pool of the `scheduler` probe.
    pub sched: PoolSize,
    /// Entries of that pool that are kept for processes that find no room, where owners are processes.
    pub sched_reserve: u32,
    /// How the other entries are shared out, where owners are processes.
    pub sched_division: Division,
    /// Errno counts.
    pub errnos: u32,
    /// How they are shared out.
    pub errnos_division: Division,
    /// Pairs of victim and preemptor.
    pub pairs: u32,
    /// How they are shared out.
    pub pairs_division: Division,
    /// Containers whose shares can be told apart.
    pub shares: u32,
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
    /// Processes that a container is expected to have, where owners are processes.
    const PROCESSES_PER_CONTAINER: u32 = 16;

    /// Cuts `budget` bytes for `owners` owners on a host with `cpus` possible CPUs. Histograms take all but a tenth;
    /// hash tables of some 100 bytes an entry share the rest.
    pub fn plan(budget: u64, owners: u32, kind: OwnerKind, cpus: u32) -> Self {
        let containers = match kind {
            OwnerKind::Cgroup => owners,
            OwnerKind::Process => owners.div_ceil(Self::PROCESSES_PER_CONTAINER),
        };
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
        let calls_reserve = containers.min((calls.entries - 1) / 8);
        let sched_reserve = match kind {
            OwnerKind::Cgroup => 0,
            OwnerKind::Process => containers.min((sched.entries - 1) / 8),
        };
        // Each container may need one more, for the pairs that find no room.
        let pairs_reserve = containers.min(per_table / 8);
        Self {
            calls,
            calls_reserve,
            calls_division: Division::plan(calls.entries - 1 - calls_reserve, containers),
            sched,
            sched_reserve,
            sched_division: Division::plan(sched.entries - 1 - sched_reserve, containers),
            errnos: per_table,
            errnos_division: Division::plan(per_table, containers),
            pairs: per_table,
            pairs_division: Division::plan(per_table - pairs_reserve, containers),
            // Those beyond the expected number find room as long as others leave it.
            shares: containers.saturating_mul(2).max(64),
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
        let sizes = Sizes::plan(64 * MIB, 4096, OwnerKind::Cgroup, 2);
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
        let sizes = Sizes::plan(64 * MIB, 10_000, OwnerKind::Cgroup, 64);
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
        let sizes = Sizes::plan(0, 0, OwnerKind::Cgroup, 128);
        assert!(sizes.calls.entries >= 2 && sizes.sched.entries >= 2);
    }

    #[test]
    fn what_is_guaranteed_and_what_is_common_fit_into_their_tables() {
        for kind in [OwnerKind::Cgroup, OwnerKind::Process] {
            for owners in [0, 1, 2, 8, 4096, 65_535] {
                let sizes = Sizes::plan(4 * MIB, owners, kind, 2);
                let containers = match kind {
                    OwnerKind::Cgroup => owners,
                    OwnerKind::Process => owners.div_ceil(Sizes::PROCESSES_PER_CONTAINER),
                };
                let taken = |division: Division| {
                    u64::from(division.guaranteed) * u64::from(containers)
                        + u64::from(division.common)
                };
                let calls = u64::from(sizes.calls.entries - 1 - sizes.calls_reserve);
                let sched = u64::from(sizes.sched.entries - 1 - sizes.sched_reserve);
                assert_eq!(taken(sizes.calls_division), calls, "{sizes:?}");
                assert_eq!(taken(sizes.sched_division), sched, "{sizes:?}");
                assert_eq!(taken(sizes.errnos_division), u64::from(sizes.errnos));
                assert!(taken(sizes.pairs_division) <= u64::from(sizes.pairs));
                assert!(sizes.calls_division.guaranteed + sizes.calls_division.common > 0);
            }
        }
    }

    #[test]
    fn the_default_guarantees_each_container_the_calls_that_one_needs_at_least() {
        let sizes = Sizes::plan(64 * MIB, 4096, OwnerKind::Cgroup, 2);
        assert!(sizes.calls_division.guaranteed >= 7, "{sizes:?}");
        assert!(sizes.errnos_division.guaranteed >= 2, "{sizes:?}");
        // One container that takes all it can leaves most of the rest.
        assert!(sizes.calls_division.common / 3 > 4 * 480, "{sizes:?}");
    }
}
