//! Dropped packets of flows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::Tuple;

/// Packets of one sender to one receiver that the kernel dropped for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedPackets {
    /// Both ends as the sender sees them: `local` is where they come from.
    pub tuple: Tuple,
    /// The kernel's reason.
    pub reason: Arc<str>,
    /// How many, as they are on the wire.
    pub packets: u64,
    /// Whether the kernel side has counted them for a container.
    pub is_attributed: bool,
    /// Monotonic time of the last.
    pub last: Duration,
}

/// Dropped packets of one flow by the kernel's reason: those from the local socket, and those to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops(BTreeMap<Arc<str>, (u64, u64)>);

impl Drops {
    /// Adds packets that were dropped on their way from the local socket and to it.
    pub fn add(&mut self, reason: &Arc<str>, sent: u64, received: u64) {
        if sent + received > 0 {
            let sum = self.0.entry(reason.clone()).or_default();
            *sum = (sum.0 + sent, sum.1 + received);
        }
    }

    /// Whether nothing was dropped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut added = Self::default();
        for (reason, (sent, received)) in &self.0 {
            let before = earlier.0.get(reason).copied().unwrap_or_default();
            added.add(
                reason,
                sent.saturating_sub(before.0),
                received.saturating_sub(before.1),
            );
        }
        added
    }

    /// Packets from the local socket, then packets to it.
    pub fn sums(&self) -> (u64, u64) {
        self.0
            .values()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    }

    /// All packets by reason.
    pub fn by_reason(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0
            .iter()
            .map(|(reason, (sent, received))| (&**reason, sent + received))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_what_was_added_and_no_reason_without_a_packet() {
        let (filter, queue): (Arc<str>, Arc<str>) = ("netfilter_drop".into(), "qdisc_drop".into());
        let mut drops = Drops::default();
        drops.add(&filter, 3, 0);
        drops.add(&queue, 0, 0);
        let before = drops.clone();
        assert_eq!(
            before.by_reason().collect::<Vec<_>>(),
            [("netfilter_drop", 3)]
        );
        drops.add(&queue, 1, 5);
        let added = drops.since(&before);
        assert_eq!(added.by_reason().collect::<Vec<_>>(), [("qdisc_drop", 6)]);
        assert_eq!((added.sums(), drops.sums()), ((1, 5), (4, 5)));
    }
}
