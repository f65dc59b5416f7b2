//! Rows of the network's probes, added up and subtracted.

use std::collections::BTreeMap;

use probe_common::{hist::Histogram, tcp::Totals};

use super::{AnswerRow, DropRow, ListenDropRow, LookupRow, TcpRow, UntrackedRow};
use crate::model::{Counters, Measurements, OwnerId};

/// One row for each owner and detail. Readings may have several: both cgroup 0 and 1 are the root.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Sums {
    tcp: BTreeMap<OwnerId, Totals>,
    listen_drops: BTreeMap<(OwnerId, u16), u64>,
    drops: BTreeMap<(Option<OwnerId>, String), u64>,
    answers: BTreeMap<(OwnerId, u8), u64>,
    lookups: BTreeMap<OwnerId, Histogram>,
    untracked: BTreeMap<OwnerId, Counters>,
}

impl Sums {
    /// All of a reading.
    pub(in crate::model) fn of(reading: &Measurements) -> Self {
        let mut sums = Self::default();
        sums.add(reading, |_| true, usize::MAX);
        sums
    }

    /// Adds what a reading says of some owners. What makes more than `limit` rows of a kind counts for
    /// [`OwnerId::OVERFLOW`].
    pub(in crate::model) fn add(
        &mut self,
        reading: &Measurements,
        wanted: impl Fn(Option<OwnerId>) -> bool,
        limit: usize,
    ) {
        for row in reading.tcp.iter().filter(|row| wanted(Some(row.owner))) {
            let owner = fitting(&self.tcp, row.owner, limit);
            add_totals(self.tcp.entry(owner).or_insert(Totals::ZERO), &row.totals);
        }
        for row in &reading.listen_drops {
            if !wanted(Some(row.owner)) {
                continue;
            }
            let mut key = (row.owner, row.port);
            if self.listen_drops.len() >= limit && !self.listen_drops.contains_key(&key) {
                key = (OwnerId::OVERFLOW, 0);
            }
            *self.listen_drops.entry(key).or_default() += row.drops;
        }
        for row in reading.drops.iter().filter(|row| wanted(row.owner)) {
            let mut key = (row.owner, row.reason.clone());
            if self.drops.len() >= limit && !self.drops.contains_key(&key) {
                key.0 = Some(OwnerId::OVERFLOW);
            }
            *self.drops.entry(key).or_default() += row.packets;
        }
        for row in reading.answers.iter().filter(|row| wanted(Some(row.owner))) {
            let mut key = (row.owner, row.rcode);
            if self.answers.len() >= limit && !self.answers.contains_key(&key) {
                key.0 = OwnerId::OVERFLOW;
            }
            *self.answers.entry(key).or_default() += row.count;
        }
        for row in reading.lookups.iter().filter(|row| wanted(Some(row.owner))) {
            let owner = fitting(&self.lookups, row.owner, limit);
            self.lookups.entry(owner).or_default().merge(&row.latency);
        }
        for row in reading
            .untracked
            .iter()
            .filter(|row| wanted(Some(row.owner)))
        {
            let owner = fitting(&self.untracked, row.owner, limit);
            self.untracked.entry(owner).or_default().add(row.counters);
        }
    }

    /// What was added since an earlier reading; nothing where nothing was.
    #[must_use]
    pub(in crate::model) fn since(mut self, earlier: &Self) -> Self {
        for (owner, totals) in &mut self.tcp {
            if let Some(before) = earlier.tcp.get(owner) {
                subtract_totals(totals, before);
            }
        }
        self.tcp.retain(|_, totals| *totals != Totals::ZERO);
        subtract_counts(&mut self.listen_drops, &earlier.listen_drops);
        subtract_counts(&mut self.drops, &earlier.drops);
        subtract_counts(&mut self.answers, &earlier.answers);
        for (owner, latency) in &mut self.lookups {
            if let Some(before) = earlier.lookups.get(owner) {
                *latency = latency.since(before);
            }
        }
        self.lookups.retain(|_, latency| latency.count() > 0);
        for (owner, counters) in &mut self.untracked {
            if let Some(before) = earlier.untracked.get(owner) {
                *counters = counters.since(*before);
            }
        }
        self.untracked.retain(|_, counters| !counters.is_zero());
        self
    }

    /// Puts the sums in place of the rows of a reading.
    pub(in crate::model) fn replace_in(self, reading: &mut Measurements) {
        let tcp = self.tcp.into_iter();
        reading.tcp = tcp
            .map(|(owner, totals)| TcpRow { owner, totals })
            .collect();
        let listen_drops = self.listen_drops.into_iter();
        reading.listen_drops = listen_drops
            .map(|((owner, port), drops)| ListenDropRow { owner, port, drops })
            .collect();
        let drops = self.drops.into_iter();
        reading.drops = drops
            .map(|((owner, reason), packets)| DropRow {
                owner,
                reason,
                packets,
            })
            .collect();
        let answers = self.answers.into_iter();
        reading.answers = answers
            .map(|((owner, rcode), count)| AnswerRow {
                owner,
                rcode,
                count,
            })
            .collect();
        let lookups = self.lookups.into_iter();
        reading.lookups = lookups
            .map(|(owner, latency)| LookupRow { owner, latency })
            .collect();
        let untracked = self.untracked.into_iter();
        reading.untracked = untracked
            .map(|(owner, counters)| UntrackedRow { owner, counters })
            .collect();
    }
}

fn fitting<V>(rows: &BTreeMap<OwnerId, V>, owner: OwnerId, limit: usize) -> OwnerId {
    if rows.len() >= limit && !rows.contains_key(&owner) {
        OwnerId::OVERFLOW
    } else {
        owner
    }
}

fn subtract_counts<K: Ord>(counts: &mut BTreeMap<K, u64>, earlier: &BTreeMap<K, u64>) {
    for (key, count) in counts.iter_mut() {
        *count = count.saturating_sub(earlier.get(key).copied().unwrap_or_default());
    }
    counts.retain(|_, count| *count > 0);
}

/// Adds what other connections came to.
pub fn add_totals(sum: &mut Totals, other: &Totals) {
    sum.connect.merge(&other.connect);
    sum.accept.merge(&other.accept);
    sum.rtt.merge(&other.rtt);
    for (mine, theirs) in counts(sum).into_iter().zip(counts(&mut other.clone())) {
        *mine = mine.wrapping_add(*theirs);
    }
}

fn subtract_totals(totals: &mut Totals, earlier: &Totals) {
    totals.connect = totals.connect.since(&earlier.connect);
    totals.accept = totals.accept.since(&earlier.accept);
    totals.rtt = totals.rtt.since(&earlier.rtt);
    for (mine, theirs) in counts(totals).into_iter().zip(counts(&mut earlier.clone())) {
        *mine = mine.saturating_sub(*theirs);
    }
}

/// All counters that are not histograms.
fn counts(totals: &mut Totals) -> Vec<&mut u64> {
    let Totals {
        connect: _,
        accept: _,
        rtt: _,
        attempts,
        connected,
        accepted,
        closed,
        failed,
        retransmits,
        segments_sent,
        segments_retransmitted,
        resets_sent,
        resets_received,
        listen_drops,
    } = totals;
    let single = [
        attempts,
        connected,
        accepted,
        closed,
        segments_sent,
        segments_retransmitted,
        resets_sent,
        resets_received,
        listen_drops,
    ];
    single
        .into_iter()
        .chain(failed)
        .chain(retransmits)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(owner: OwnerId, attempts: u64, connect_ns: &[u64]) -> TcpRow {
        let mut totals = Totals {
            attempts,
            failed: [attempts, 0, 0, 0, 0, 0, 0],
            ..Totals::ZERO
        };
        connect_ns.iter().for_each(|ns| totals.connect.observe(*ns));
        TcpRow { owner, totals }
    }

    fn reading(tcp: Vec<TcpRow>, dropped: u64) -> Measurements {
        Measurements {
            tcp,
            drops: vec![DropRow {
                owner: None,
                reason: "no_socket".into(),
                packets: dropped,
            }],
            ..Measurements::default()
        }
    }

    #[test]
    fn rows_of_one_owner_are_one_before_they_are_subtracted() {
        let root = OwnerId::ROOT;
        let earlier = reading(vec![tcp(root, 3, &[100]), tcp(root, 4, &[100])], 5);
        // The rows may come in another order, or one of them may be new.
        let later = reading(vec![tcp(root, 4, &[100]), tcp(root, 5, &[100, 900])], 5);
        let added = later.since(&earlier);
        assert_eq!(added.tcp.len(), 1);
        assert_eq!(added.tcp[0].totals.attempts, 2);
        assert_eq!(added.tcp[0].totals.failed, [2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(added.tcp[0].totals.connect.count(), 1);
        assert!(added.drops.is_empty());
    }

    #[test]
    fn the_first_period_has_all_and_a_quiet_one_nothing() {
        let now = reading(vec![tcp(OwnerId(7), 1, &[])], 2);
        assert_eq!(now.since(&Measurements::default()).tcp.len(), 1);
        let quiet = now.since(&now);
        assert!(quiet.tcp.is_empty() && quiet.drops.is_empty());
    }

    #[test]
    fn what_is_over_the_limit_is_added_up_as_overflow() {
        let reading = reading((7..10).map(|id| tcp(OwnerId(id), 1, &[])).collect(), 1);
        let mut sums = Sums::default();
        sums.add(&reading, |owner| owner.is_some(), 1);
        assert_eq!(sums.tcp[&OwnerId::OVERFLOW].attempts, 2);
        assert!(sums.drops.is_empty());
    }
}
