//! Name look-ups of a period, and rows of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::SystemTime,
};

use probe_common::{hist::Histogram, id::CgroupId};

use crate::{
    identity::Identities,
    model::{Container, Lookup, LookupEvent, Measurements, OwnerId, OwnerKind},
    render::view::{By, DnsView, HistogramView, LookupView},
    report::{
        Filter,
        owner::{GroupKey, Resolved, tell_apart},
    },
};

/// Most rows before names of cgroups are known; what comes later counts under the name `~other`.
const MAX_ROWS: usize = 65_536;
/// Most addresses that a row keeps.
const MAX_ADDRESSES: usize = 16;

/// What rows tell apart besides the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Detail {
    name: Option<String>,
    kind: Option<String>,
    server: Option<IpAddr>,
}

#[derive(Clone, Debug, Default)]
struct Sum {
    lookups: u64,
    answers: u64,
    timeouts: u64,
    /// Also from one period to the next.
    pending: u64,
    rcodes: BTreeMap<String, u64>,
    latency: Histogram,
    addresses: BTreeSet<IpAddr>,
}

/// Collects the look-ups of a period.
#[derive(Debug)]
pub struct LookupBook {
    by: By,
    limit: usize,
    sums: HashMap<(CgroupId, Detail), Sum>,
}

impl LookupBook {
    /// For rows by container, name or server.
    pub fn new(by: By) -> Self {
        Self {
            by,
            limit: MAX_ROWS,
            sums: HashMap::new(),
        }
    }

    /// Enters what happened to a look-up.
    pub fn add(&mut self, event: LookupEvent) {
        match event {
            LookupEvent::Asked(lookup) => {
                let sum = self.sum(&lookup);
                sum.lookups += 1;
                sum.pending += 1;
            }
            LookupEvent::Forgotten(lookup) => {
                let sum = self.sum(&lookup);
                sum.pending = sum.pending.saturating_sub(1);
            }
            LookupEvent::Ended(lookup) => self.end(lookup),
        }
    }

    fn end(&mut self, lookup: Lookup) {
        let sum = self.sum(&lookup);
        if lookup.asked {
            sum.pending = sum.pending.saturating_sub(1);
        } else {
            sum.lookups += 1;
        }
        match lookup.rcode {
            Some(rcode) => {
                sum.answers += 1;
                *sum.rcodes.entry(rcode).or_default() += 1;
            }
            None => sum.timeouts += 1,
        }
        if let Some(latency) = lookup.latency {
            let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
            sum.latency.observe(ns);
        }
        for address in lookup.addresses {
            if sum.addresses.len() < MAX_ADDRESSES {
                sum.addresses.insert(address);
            }
        }
    }

    fn sum(&mut self, lookup: &Lookup) -> &mut Sum {
        let by_name = self.by == By::Name;
        let detail = Detail {
            name: by_name.then(|| lookup.name.clone()),
            kind: by_name.then(|| lookup.kind.clone()),
            server: (self.by == By::Server).then_some(lookup.server),
        };
        let mut key = (lookup.cgroup, detail);
        if self.sums.len() >= self.limit && !self.sums.contains_key(&key) {
            key.1 = Detail {
                name: Some(Container::OTHER.into()),
                kind: None,
                server: None,
            };
            if self.sums.len() >= 2 * self.limit && !self.sums.contains_key(&key) {
                key.0 = CgroupId(OwnerId::KERNEL_OVERFLOW.0);
            }
        }
        self.sums.entry(key).or_default()
    }

    /// Begins a new period, in which questions may be answered that were sent before.
    pub fn next_period(&mut self) {
        self.sums.retain(|_, sum| {
            *sum = Sum {
                pending: sum.pending,
                ..Sum::default()
            };
            sum.pending > 0
        });
    }

    /// Answers that were entered.
    pub fn answers(&self) -> u64 {
        self.sums.values().map(|sum| sum.answers).sum()
    }

    /// Whether a container without a name yet is in these rows, or may be once it has one.
    pub fn awaits_names(&self, identities: &Identities, filter: &Filter) -> bool {
        let nobody = Measurements::default();
        self.sums.keys().any(|(cgroup, _)| {
            let owner = OwnerId::of_socket(cgroup.0);
            let owner = Resolved::find(owner, OwnerKind::Cgroup, &nobody, identities);
            owner.is_pending() && filter.may_admit(owner.container.as_deref(), None)
        })
    }

    /// Rows of what the filter admits.
    pub fn rows(&self, identities: &Identities, filter: &Filter) -> Vec<DnsView> {
        let nobody = Measurements::default();
        let mut groups: HashMap<(GroupKey, &Detail), (Resolved, Sum)> = HashMap::new();
        for ((cgroup, detail), sum) in &self.sums {
            let owner = OwnerId::of_socket(cgroup.0);
            let owner = Resolved::find(owner, OwnerKind::Cgroup, &nobody, identities);
            if filter.admits(owner.container.as_deref(), None) {
                let group = groups.entry((owner.key, detail));
                let (_, total) = group.or_insert_with(|| (owner, Sum::default()));
                total.add(sum);
            }
        }
        let mut rows: Vec<DnsView> = groups
            .into_iter()
            .map(|((_, detail), (owner, sum))| DnsView {
                container: owner.names().0,
                name: detail.name.clone(),
                kind: detail.kind.clone(),
                server: detail.server,
                lookups: sum.lookups,
                timeouts: sum.timeouts,
                pending: sum.pending,
                rcodes: sum.rcodes,
                latency: HistogramView::from(&sum.latency),
                addresses: sum.addresses,
            })
            .collect();
        tell_apart(rows.iter_mut().map(|row| &mut row.container));
        rows.sort_by(DnsView::compare);
        rows
    }
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.lookups += other.lookups;
        self.answers += other.answers;
        self.pending += other.pending;
        self.timeouts += other.timeouts;
        for (rcode, n) in &other.rcodes {
            *self.rcodes.entry(rcode.clone()).or_default() += n;
        }
        self.latency.merge(&other.latency);
        let room = MAX_ADDRESSES.saturating_sub(self.addresses.len());
        self.addresses.extend(other.addresses.iter().take(room));
    }
}

/// A look-up at this time of day, or `None` where the filter does not admit who asked.
pub fn lookup_view(
    lookup: Lookup,
    time: SystemTime,
    identities: &Identities,
    filter: &Filter,
) -> Option<LookupView> {
    let owner = OwnerId::of_socket(lookup.cgroup.0);
    let nobody = Measurements::default();
    let owner = Resolved::find(owner, OwnerKind::Cgroup, &nobody, identities);
    if !filter.admits(owner.container.as_deref(), None) {
        return None;
    }
    Some(LookupView {
        time,
        container: owner.names().0,
        server: lookup.server,
        transport: if lookup.over_tcp { "tcp" } else { "udp" },
        name: lookup.name,
        kind: lookup.kind,
        timeout: lookup.rcode.is_none(),
        rcode: lookup.rcode,
        latency_seconds: lookup.latency.map(|it| it.as_secs_f64()),
        addresses: lookup.addresses,
        aliases: lookup.aliases,
        ttl_seconds: lookup.ttl.map(|ttl| ttl.as_secs()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, UNIX_EPOCH};

    use super::*;
    use crate::identity::Limits;

    fn lookup(cgroup: u64, name: &str, rcode: Option<&str>) -> Lookup {
        Lookup {
            cgroup: CgroupId(cgroup),
            time: Duration::ZERO,
            server: "10.96.0.10".parse().unwrap(),
            over_tcp: false,
            name: name.into(),
            kind: "A".into(),
            rcode: rcode.map(Into::into),
            latency: rcode.map(|_| Duration::from_millis(2)),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            aliases: Vec::new(),
            ttl: Some(Duration::from_secs(30)),
            asked: false,
        }
    }

    fn ended(cgroup: u64, name: &str, rcode: Option<&str>) -> LookupEvent {
        LookupEvent::Ended(lookup(cgroup, name, rcode))
    }

    fn identities() -> Identities {
        let identities = Identities::new(Limits::default());
        // The second belongs to the first.
        for (id, path) in [
            (7, "/system.slice/web.service"),
            (8, "/system.slice/web.service/inner"),
        ] {
            identities.appeared(CgroupId(id), path, Instant::now());
        }
        identities
    }

    #[test]
    fn look_ups_are_counted_by_name_code_and_timeout() {
        let mut book = LookupBook::new(By::Name);
        book.add(ended(7, "a.example", Some("NOERROR")));
        book.add(ended(8, "a.example", Some("NXDOMAIN")));
        book.add(ended(7, "b.example", None));
        let rows = book.rows(&identities(), &Filter::default());
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].name.as_deref(), Some("a.example"));
        assert_eq!((rows[0].lookups, rows[0].timeouts), (2, 0));
        assert_eq!(rows[0].rcodes.len(), 2);
        assert_eq!(rows[0].latency.count, 2);
        assert_eq!((rows[1].lookups, rows[1].timeouts), (1, 1));
        assert_eq!(book.answers(), 2);
        book.next_period();
        assert!(book.rows(&identities(), &Filter::default()).is_empty());
    }

    #[test]
    fn a_look_up_counts_when_it_is_asked_and_waits_until_it_ends() {
        let mut book = LookupBook::new(By::Name);
        let shown = |book: &LookupBook| {
            let rows = book.rows(&identities(), &Filter::default());
            let row = rows
                .into_iter()
                .find(|row| row.kind.as_deref() == Some("A"));
            let row = row.unwrap_or_default();
            (row.lookups, row.pending, row.timeouts)
        };
        for _ in 0..4 {
            book.add(LookupEvent::Asked(lookup(7, "a.example", None)));
        }
        let asked = |rcode| Lookup {
            asked: true,
            ..lookup(7, "a.example", rcode)
        };
        book.add(LookupEvent::Ended(asked(Some("NOERROR"))));
        assert_eq!(shown(&book), (4, 3, 0));
        // They end in the next period, of which they are no look-ups.
        book.next_period();
        book.add(LookupEvent::Ended(asked(None)));
        book.add(LookupEvent::Forgotten(asked(None)));
        assert_eq!(shown(&book), (0, 1, 1));
        book.add(LookupEvent::Ended(asked(Some("NOERROR"))));
        book.next_period();
        assert!(book.rows(&identities(), &Filter::default()).is_empty());
    }

    #[test]
    fn types_of_one_name_are_told_apart() {
        let mut book = LookupBook::new(By::Name);
        for kind in ["A", "AAAA"] {
            book.add(LookupEvent::Ended(Lookup {
                kind: kind.into(),
                ..lookup(7, "a.example", Some("NOERROR"))
            }));
        }
        assert_eq!(book.rows(&identities(), &Filter::default()).len(), 2);
    }

    #[test]
    fn names_over_the_limit_are_added_up() {
        let mut book = LookupBook {
            limit: 1,
            ..LookupBook::new(By::Name)
        };
        for name in ["a", "b", "c", "c"] {
            book.add(ended(7, name, Some("NOERROR")));
        }
        book.add(ended(9, "d", Some("NOERROR")));
        let rows = book.rows(&identities(), &Filter::default());
        let other: Vec<_> = rows
            .iter()
            .filter(|row| row.name.as_deref() == Some("~other"))
            .collect();
        assert_eq!(other.iter().map(|row| row.lookups).sum::<u64>(), 4);
        assert!(rows.iter().any(|row| row.container.is_other()));
    }

    #[test]
    fn a_single_look_up_goes_by_the_filter_and_keeps_what_is_known() {
        let identities = identities();
        let view = |cgroup, filter: &Filter| {
            lookup_view(lookup(cgroup, "a", None), UNIX_EPOCH, &identities, filter)
        };
        let shown = view(7, &Filter::default()).unwrap();
        assert!(shown.timeout && shown.rcode.is_none() && shown.latency_seconds.is_none());
        assert_eq!(shown.container.name, "web.service");
        let filter = Filter {
            cgroups: vec!["/other".into()],
            ..Filter::default()
        };
        assert!(view(7, &filter).is_none());
    }
}
