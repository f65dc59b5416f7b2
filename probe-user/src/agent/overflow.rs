//! Log lines about series that found no room.

use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use crate::metrics::{ContainerCounts, Registry};

/// Least time between two lines about containers without series.
const REPEAT: Duration = Duration::from_secs(10 * 60);

/// What was logged: each family once, containers without series when there are more than at the last line.
#[derive(Debug, Default)]
pub(super) struct OverflowLog {
    families: FxHashSet<&'static str>,
    folded: usize,
    at: Option<Instant>,
}

impl OverflowLog {
    /// Logs what has overflowed since the last call.
    pub(super) fn report(&mut self, registry: &Registry, now: Instant) {
        let ContainerCounts {
            shown,
            folded,
            limit,
        } = registry.container_counts();
        let is_due = self
            .at
            .is_none_or(|at| now.saturating_duration_since(at) >= REPEAT);
        if folded > self.folded && is_due {
            (self.folded, self.at) = (folded, Some(now));
            tracing::warn!(
                folded,
                shown,
                limit,
                "more containers than limits.series has room for: the counts of some are in the series `~other`; raise limits.series"
            );
        }
        if folded == 0 {
            self.folded = 0;
        }
        let new = registry
            .overflows()
            .map(|(desc, _)| desc.name)
            .filter(|name| !self.families.contains(name));
        let new: Vec<&str> = new.collect();
        if !new.is_empty() {
            tracing::warn!(
                families = new.join(" "),
                "no room for more series: further label values are counted as `~other`; raise limits.series or limits.series_per_family"
            );
            self.families.extend(new);
        }
    }
}
