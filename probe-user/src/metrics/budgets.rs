//! How many time series a family, a container and the whole target may show.

use std::collections::HashMap;

use super::Desc;

/// Time series of the whole target: enough for a node of 110 pods with three containers each, their sandboxes and the
/// units of the host.
pub const TOTAL: usize = 150_000;

/// Part of the total that is reserved for the probe's own families, so that the metrics about an overflow are there
/// during one.
pub const SELF_RESERVE: usize = 1_200;

/// Part of what is left that is for detail beyond the shares: one in so many.
const DETAIL: usize = 4;

/// `~other` and `~unknown` take a share each and are always shown.
const BUCKETS: usize = 2;

/// A container may take one in so many of the free series of the pool, so that one container cannot empty it.
const POOL_SHARE: usize = 16;

/// Caps, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Time series of the target. The number of containers follows from it: see [`Plan`].
    pub total: usize,
    /// Caps of single families, by name with or without the prefix. Of a family by container the cap limits the
    /// detail: each container keeps its own `~other`. 0 folds all containers of that family together.
    pub families: HashMap<String, usize>,
}

/// How the total is divided among containers.
///
/// Each container that is shown has a share reserved, which is the sum of [`Desc::budget`] over all families in use.
/// So a container that has series in one family has them in all, and none is refused later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Containers that have a share.
    pub(super) containers: usize,
    /// Time series for detail that each of them has beyond its share, in any family.
    pub(super) basic: usize,
    /// Time series for detail beyond that, for all containers together.
    pub(super) pool: usize,
}

impl Budgets {
    /// The configured cap of a family.
    pub(super) fn cap(&self, desc: &Desc) -> Option<usize> {
        let short = desc.name.strip_prefix(super::PREFIX).unwrap_or(desc.name);
        let configured = self
            .families
            .get(desc.name)
            .or_else(|| self.families.get(short));
        configured.copied()
    }

    /// Divides the total where one container's share is `share` time series.
    pub(super) fn plan(&self, share: usize) -> Plan {
        let available = self.total.saturating_sub(SELF_RESERVE);
        let detail = available / DETAIL;
        let shares = (available - detail) / share.max(1);
        let pool = detail / 2;
        Plan {
            containers: shares.saturating_sub(BUCKETS),
            basic: (detail - pool) / shares.max(1),
            pool,
        }
    }
}

impl Plan {
    /// Whether a container that has taken `borrowed` of the pool, of which `used` are taken in all, may take `cost` more.
    pub(super) fn lends(self, cost: usize, borrowed: usize, used: usize) -> bool {
        let free = self.pool.saturating_sub(used);
        borrowed + cost <= free / POOL_SHARE
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            total: TOTAL,
            families: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{limits, metrics::families};

    #[test]
    fn configured_caps_are_found_by_either_name() {
        let caps = [("syscalls_total", 7), ("nodeprobe_syscall_errors_total", 8)];
        let families = caps.map(|(name, cap)| (name.to_owned(), cap)).into();
        let budgets = Budgets {
            families,
            ..Budgets::default()
        };
        assert_eq!(budgets.cap(&families::SYSCALLS), Some(7));
        assert_eq!(budgets.cap(&families::SYSCALL_ERRORS), Some(8));
        assert_eq!(budgets.cap(&families::SCHED_ONCPU), None);
    }

    #[test]
    fn the_configurations_default_is_that_of_the_registry() {
        assert_eq!(limits::SERIES as usize, TOTAL);
    }

    #[test]
    fn shares_and_pool_never_exceed_the_total() {
        for total in [0, 1, SELF_RESERVE, 2_000, TOTAL, 5_000_000] {
            for share in [1, 148, 10_000] {
                let budgets = Budgets {
                    total,
                    ..Budgets::default()
                };
                let plan = budgets.plan(share);
                let shares = if plan.containers == 0 {
                    0
                } else {
                    plan.containers + BUCKETS
                };
                assert!(
                    shares * (share + plan.basic) + plan.pool <= total.saturating_sub(SELF_RESERVE),
                    "{total} {share} {plan:?}"
                );
            }
        }
    }

    #[test]
    fn the_number_of_containers_follows_the_total() {
        let plan = |total| {
            Budgets {
                total,
                families: HashMap::new(),
            }
            .plan(150)
            .containers
        };
        assert!(plan(2 * TOTAL) >= 2 * plan(TOTAL));
        assert!(plan(TOTAL / 10) > 0);
    }
}
