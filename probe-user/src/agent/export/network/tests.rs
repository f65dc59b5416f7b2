//! Deltas and labels of the network's families.

use std::time::Duration;

use probe_common::id::CgroupId;

use super::*;
use crate::{
    agent::traffic::Traffic,
    flows::{Event, OverTcp},
    identity::Limits,
    metrics::{Budgets, Format, SharedRegistry},
    model::{AnswerRow, DropRow, FreedRow, TcpRow, UntrackedRow},
    session::FollowerCounts,
};

const WEB: OwnerId = OwnerId(70);
const DB: OwnerId = OwnerId(80);

struct Rig {
    network: Network,
    owners: Owners,
    identities: Identities,
    metrics: SharedRegistry,
    traffic: Traffic,
}

impl Rig {
    /// Two services of the host are known, and the root.
    fn new() -> Self {
        let identities = Identities::new(Limits::default());
        for (owner, path) in [
            (OwnerId::ROOT, "/"),
            (WEB, "/system.slice/web.service"),
            (DB, "/system.slice/db.service"),
        ] {
            identities.appeared(CgroupId(owner.0), path, Instant::now());
        }
        Self {
            network: Network::default(),
            owners: Owners::new(Duration::from_secs(3), None),
            identities,
            metrics: SharedRegistry::new("n", Budgets::default()),
            traffic: Traffic::default(),
        }
    }

    fn export(&mut self, measurements: &Measurements) {
        let mut names = Names {
            owners: &mut self.owners,
            identities: &self.identities,
            now: Instant::now(),
            last: false,
        };
        let mut registry = self.metrics.lock();
        self.network
            .export(&mut registry, measurements, self.traffic.take(), &mut names);
    }

    /// The samples of a family, as `{labels} value` without what all have in common.
    fn shown(&self, family: &str) -> Vec<String> {
        let text = self.metrics.render(Format::Text, Instant::now()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let mut lines: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("nodeprobe_")?.strip_prefix(family))
            .filter(|rest| rest.starts_with(['{', ' ']))
            .map(|rest| rest.replace(",node=\"n\"", "").replace('"', ""))
            .collect();
        lines.sort();
        lines
    }
}

fn tcp_row(owner: OwnerId, times: u64) -> TcpRow {
    let mut totals = tcp::Totals::ZERO;
    for _ in 0..times {
        totals.connect.observe(1_000_000);
    }
    totals.attempts = 3 * times;
    totals.connected = times;
    totals.accepted = 2 * times;
    totals.failed[tcp::FAILED_TIMEOUT] = times;
    totals.failed[tcp::FAILED_ABORTED] = times;
    totals.retransmits[tcp::RETRANSMIT_DATA] = times;
    totals.resets_received = times;
    TcpRow { owner, totals }
}

#[test]
fn both_rows_of_the_root_are_one_and_only_what_was_added_counts() {
    let mut rig = Rig::new();
    let root = OwnerId::ROOT;
    for (first, second) in [(1, 2), (1, 4), (0, 3)] {
        rig.export(&Measurements {
            tcp: vec![tcp_row(root, first), tcp_row(root, second)],
            ..Measurements::default()
        });
    }
    let c = "namespace=~host,pod=,container=/";
    assert_eq!(
        rig.shown("tcp_connects_total"),
        [format!("{{{c}}} 15")],
        "the last reading was lower"
    );
    assert_eq!(
        rig.shown("tcp_connections_total"),
        [
            format!("{{{c},direction=egress}} 5"),
            format!("{{{c},direction=ingress}} 10"),
        ]
    );
    assert_eq!(
        rig.shown("tcp_failed_connects_total"),
        [
            format!("{{{c},reason=aborted}} 5"),
            format!("{{{c},reason=timeout}} 5"),
        ]
    );
    assert_eq!(
        rig.shown("tcp_retransmits_total"),
        [format!("{{{c},kind=data}} 5")]
    );
    assert_eq!(
        rig.shown("tcp_resets_total"),
        [format!("{{{c},direction=received}} 5")]
    );
    assert_eq!(
        rig.shown("tcp_connect_duration_seconds_count"),
        [format!("{{{c}}} 5")]
    );
}

#[test]
fn traffic_is_split_by_peer_and_direction_of_the_local_socket() {
    use crate::agent::traffic::tests::report;
    let mut rig = Rig::new();
    rig.traffic
        .add(&report(Event::Start, 1, WEB.0, Some(DB.0), 2), None);
    rig.traffic
        .add(&report(Event::Start, 2, WEB.0, None, 4), None);
    rig.export(&Measurements::default());
    rig.export(&Measurements::default());
    let web = "namespace=~host,pod=,container=web.service";
    let db = "peer_namespace=~host,peer_container=db.service,peer_workload=,transport=udp";
    let beyond =
        "peer_namespace=~external,peer_container=~external,peer_workload=~external,transport=udp";
    assert_eq!(
        rig.shown("flow_bytes_total"),
        [
            format!("{{{web},{beyond},direction=egress}} 400"),
            format!("{{{web},{beyond},direction=ingress}} 200"),
            format!("{{{web},{db},direction=egress}} 200"),
            format!("{{{web},{db},direction=ingress}} 100"),
        ]
    );
    assert_eq!(rig.shown("flow_active"), [format!("{{{web}}} 2.0")]);
    // The peer is gone: its series go once they were shown.
    let gone = FxHashSet::from_iter([DB]);
    let ended = Instant::now();
    rig.network.leave(&mut rig.metrics.lock(), &gone, ended);
    assert_eq!(rig.shown("flow_packets_total").len(), 4);
    rig.metrics.lock().sweep(ended + Duration::from_secs(60));
    assert_eq!(rig.shown("flow_packets_total").len(), 2);
}

#[test]
fn traffic_waits_until_both_ends_have_names() {
    use crate::agent::traffic::tests::report;
    let mut rig = Rig::new();
    rig.traffic
        .add(&report(Event::Start, 1, WEB.0, Some(99), 2), None);
    rig.export(&Measurements::default());
    assert!(rig.shown("flow_bytes_total").is_empty());
    let path = "/system.slice/late.service";
    rig.identities.appeared(CgroupId(99), path, Instant::now());
    rig.traffic
        .add(&report(Event::Update, 1, WEB.0, Some(99), 2), None);
    rig.export(&Measurements::default());
    let shown = rig.shown("flow_packets_total");
    assert!(
        shown[0].ends_with(
            "peer_container=late.service,peer_workload=,transport=udp,direction=egress} 4"
        ),
        "{shown:?}"
    );
}

#[test]
fn lookups_drops_and_what_found_no_room_are_told_by_owner() {
    let mut rig = Rig::new();
    let measurements = Measurements {
        answers: vec![AnswerRow {
            owner: WEB,
            rcode: 3,
            count: 5,
        }],
        drops: [Some(WEB), None]
            .map(|owner| DropRow {
                owner,
                reason: "no_socket".into(),
                packets: 2,
            })
            .into(),
        freed: vec![FreedRow {
            reason: "queue_purge".into(),
            packets: 8,
        }],
        untracked: vec![UntrackedRow {
            owner: WEB,
            counters: Counters {
                bytes_sent: 7,
                packets_sent: 1,
                ..Counters::default()
            },
        }],
        ..Measurements::default()
    };
    let mut over_tcp = Histogram::EMPTY;
    over_tcp.observe(1_000_000);
    rig.traffic.show(
        FollowerCounts {
            lookup_timeouts: [(CgroupId(WEB.0), 6)].into(),
            over_tcp: OverTcp {
                answers: [((CgroupId(WEB.0), 3), 2)].into(),
                latency: [(CgroupId(WEB.0), over_tcp)].into(),
            },
            attributed_drops: [((CgroupId(WEB.0), "netfilter_drop".into()), 9)].into(),
            ..FollowerCounts::default()
        },
        None,
    );
    rig.export(&measurements);
    rig.export(&measurements);
    let web = "namespace=~host,pod=,container=web.service";
    assert_eq!(
        rig.shown("dns_lookups_total"),
        [
            format!("{{{web},rcode=NXDOMAIN}} 7"),
            format!("{{{web},rcode=~timeout}} 6"),
        ]
    );
    assert_eq!(
        rig.shown("container_packet_drops_total"),
        [
            format!("{{{web},reason=netfilter_drop}} 9"),
            format!("{{{web},reason=no_socket}} 2"),
        ]
    );
    assert_eq!(
        rig.shown("node_packets_freed_total"),
        ["{reason=queue_purge} 8"]
    );
    assert_eq!(
        rig.shown("node_packet_drops_total"),
        ["{reason=no_socket} 4"]
    );
    let other = "peer_namespace=~other,peer_container=~other,peer_workload=~other,transport=~other";
    assert_eq!(
        rig.shown("flow_bytes_total"),
        [format!("{{{web},{other},direction=egress}} 7")]
    );
}

#[test]
fn timeouts_of_an_owner_that_was_forgotten_are_not_counted_again() {
    let mut rig = Rig::new();
    let counts = |count| FollowerCounts {
        lookup_timeouts: [(CgroupId(WEB.0), count)].into(),
        ..FollowerCounts::default()
    };
    rig.traffic.show(counts(6), None);
    rig.export(&Measurements::default());
    let gone = FxHashSet::from_iter([WEB]);
    rig.network.forget(&gone);
    rig.export(&Measurements::default());
    rig.traffic.show(counts(7), None);
    rig.export(&Measurements::default());
    assert!(rig.shown("dns_lookups_total")[0].ends_with(",rcode=~timeout} 7"));
}
