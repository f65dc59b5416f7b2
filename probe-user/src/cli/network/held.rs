//! Events that wait until it is known whose they are.

use std::{collections::VecDeque, time::Duration};

use probe_common::id::CgroupId;

use crate::{cli::tool::NAMES_WITHIN, identity::Identities, model::Naming, session::named};

/// Most events that wait; what comes then goes out without names.
const MAX_HELD: usize = 65_536;

/// Keeps the order of events, and each of them until its owner has a name or has had the time for one.
pub(in crate::cli) struct Held<T>(VecDeque<(Duration, CgroupId, T)>);

impl<T> Held<T> {
    pub(in crate::cli) fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Takes an event of a cgroup that came at the monotonic time `now`.
    pub(in crate::cli) fn push(&mut self, now: Duration, cgroup: CgroupId, event: T) {
        self.0.push_back((now, cgroup, event));
    }

    /// The next event that need not wait any more, and when it came.
    pub(in crate::cli) fn pop(
        &mut self,
        now: Duration,
        identities: &Identities,
    ) -> Option<(Duration, T)> {
        let (since, cgroup, _) = self.0.front()?;
        let late = now.saturating_sub(*since) >= NAMES_WITHIN || self.0.len() > MAX_HELD;
        if late || named(*cgroup, identities, None).is_some() {
            self.pop_any()
        } else {
            None
        }
    }

    /// Whether an event waits for a name that is still to come.
    pub(in crate::cli) fn awaits_names(&self, identities: &Identities) -> bool {
        self.0.iter().any(|(_, cgroup, _)| {
            let container = identities.lookup(*cgroup);
            container.is_some_and(|container| container.naming == Naming::Pending)
        })
    }

    /// The next event, and when it came.
    pub(in crate::cli) fn pop_any(&mut self) -> Option<(Duration, T)> {
        self.0.pop_front().map(|(since, _, event)| (since, event))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::identity::Limits;

    #[test]
    fn events_keep_their_order_and_wait_for_a_name_as_long_as_one_may_come() {
        let identities = Identities::new(Limits::default());
        identities.appeared(CgroupId(7), "/system.slice/web.service", Instant::now());
        let mut held = Held::new();
        let second = Duration::from_secs(1);
        held.push(second, CgroupId(7), "named");
        held.push(second, CgroupId(99), "unknown");
        held.push(second, CgroupId(7), "behind it");
        assert_eq!(held.pop(second, &identities), Some((second, "named")));
        assert_eq!(held.pop(2 * second, &identities), None);
        let late = second + NAMES_WITHIN;
        assert_eq!(held.pop(late, &identities), Some((second, "unknown")));
        assert_eq!(held.pop_any(), Some((second, "behind it")));
        assert_eq!(held.pop_any(), None);
    }
}
