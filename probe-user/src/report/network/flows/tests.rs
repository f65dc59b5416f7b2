use std::time::Instant;

use super::*;
use crate::{
    identity::Limits,
    model::{EndReason, FlowEnd, FlowProcess, TcpFacts, Transport},
};

fn identities() -> Identities {
    let identities = Identities::new(Limits::default());
    for (id, path) in [
        (7, "/system.slice/web.service"),
        (8, "/system.slice/db.service"),
    ] {
        identities.appeared(CgroupId(id), path, Instant::now());
    }
    identities
}

fn flow(id: u64, cgroup: u64, remote: &str, port: u16) -> Flow {
    Flow {
        id,
        tuple: Tuple {
            transport: Transport::TCP,
            local: "10.0.0.1".parse().unwrap(),
            local_port: 40_000,
            remote: remote.parse().unwrap(),
            remote_port: port,
        },
        cgroup: CgroupId(cgroup),
        netns: None,
        initiator: Initiator::Local,
        guessed: false,
        taken_over: false,
        start: Duration::ZERO,
        last: Duration::ZERO,
        counters: bytes(1000),
        drops: None,
        tcp: Some(TcpFacts {
            state: 1,
            srtt: Some(Duration::from_millis(id)),
            retransmits: 3,
            ..TcpFacts::default()
        }),
        process: Some(FlowProcess {
            pid: 42,
            comm: "curl".into(),
            is_elsewhere: false,
        }),
        remote_name: None,
        sampling: 1,
        end: None,
    }
}

fn bytes(sent: u64) -> Counters {
    Counters {
        bytes_sent: sent,
        packets_sent: 1,
        ..Counters::default()
    }
}

fn ended(mut flow: Flow, reason: EndReason) -> Flow {
    flow.end = Some(FlowEnd {
        reason,
        at: Duration::ZERO,
        error: None,
    });
    flow
}

fn seen(flow: Flow, sent: u64) -> Seen {
    Seen {
        flow,
        interval: bytes(sent),
        peer: None,
    }
}

fn rows(book: &FlowBook, by: By) -> Vec<FlowView> {
    let filter = Filter::default();
    book.rows(&identities(), by, Counted::Period, &filter).rows
}

#[test]
fn intervals_of_a_flow_are_added_up_and_a_new_period_begins_at_nothing() {
    let mut book = FlowBook::default();
    book.add(seen(flow(1, 7, "192.0.2.1", 443), 10));
    book.add(seen(flow(1, 7, "192.0.2.1", 443), 20));
    let shown = rows(&book, By::Flow);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].bytes_sent, 30);
    assert_eq!(shown[0].retransmits, Some(3));
    assert_eq!(shown[0].state.as_deref(), Some("established"));
    book.next_period();
    assert!(rows(&book, By::Flow).is_empty());
    let end = ended(flow(1, 7, "192.0.2.1", 443), EndReason::Fin);
    book.add(seen(end, 5));
    let shown = rows(&book, By::Flow);
    assert_eq!(shown[0].bytes_sent, 5);
    assert_eq!(shown[0].retransmits, Some(0));
    assert_eq!(shown[0].ends, BTreeMap::from([("fin".to_owned(), 1)]));
    book.next_period();
    assert!(book.entries.is_empty());
}

#[test]
fn groups_have_sums_and_the_median_of_round_trip_times() {
    let mut book = FlowBook::default();
    for (id, port) in [(1, 443), (2, 80), (9, 81)] {
        book.add(seen(flow(id, 7, "192.0.2.1", port), 10));
    }
    book.add(seen(flow(4, 7, "192.0.2.2", 443), 10));
    let mut accepted = flow(5, 8, "192.0.2.2", 443);
    accepted.initiator = Initiator::Remote;
    book.add(seen(accepted, 100));
    let peers = rows(&book, By::Peer);
    assert_eq!(peers.len(), 3);
    assert_eq!((peers[0].flows, peers[0].bytes_sent), (1, 100));
    assert_eq!((peers[1].flows, peers[1].bytes_sent), (3, 30));
    assert_eq!(peers[1].rtt_seconds, Some(0.002));
    assert_eq!(peers[1].remote.as_ref().unwrap().port, None);
    let containers = rows(&book, By::Container);
    assert_eq!(containers.len(), 2);
    assert_eq!(containers[1].flows, 4);
    assert_eq!(containers[1].remote, None);
    assert_eq!(containers[1].direction, Some(Direction::Egress));
}

#[test]
fn both_directions_with_one_peer_are_neither() {
    let mut book = FlowBook::default();
    let mut accepted = flow(2, 7, "192.0.2.1", 443);
    accepted.initiator = Initiator::Remote;
    book.add(seen(flow(1, 7, "192.0.2.1", 443), 1));
    book.add(seen(accepted, 1));
    book.add(seen(flow(3, 7, "192.0.2.1", 443), 1));
    assert_eq!(rows(&book, By::Peer)[0].direction, None);
}

#[test]
fn a_filter_and_the_peer_go_by_the_container() {
    let mut book = FlowBook::default();
    book.add(Seen {
        peer: Some(CgroupId(8)),
        ..seen(flow(1, 7, "192.0.2.1", 443), 1)
    });
    book.add(seen(flow(2, 8, "192.0.2.1", 443), 1));
    let filter = Filter {
        cgroups: vec!["/system.slice/web.service".into()],
        ..Filter::default()
    };
    let shown = book
        .rows(&identities(), By::Flow, Counted::Period, &filter)
        .rows;
    assert_eq!(shown.len(), 1);
    let remote = shown[0].remote.as_ref().unwrap();
    assert_eq!(remote.container.as_ref().unwrap().name, "db.service");
}

#[test]
fn open_connections_are_those_that_have_not_ended_and_count_from_their_start() {
    let mut book = FlowBook::default();
    let shutdown = ended(flow(1, 7, "192.0.2.1", 443), EndReason::Shutdown);
    book.add(seen(shutdown, 1));
    let over = ended(flow(2, 7, "192.0.2.1", 443), EndReason::ResetSent);
    book.add(seen(over, 1));
    let shown = book
        .rows(
            &identities(),
            By::Connection,
            Counted::Open,
            &Filter::default(),
        )
        .rows;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].bytes_sent, 1000);
    assert_eq!(shown[0].state.as_deref(), Some("established"));
    assert!(shown[0].ends.is_empty());
}

#[test]
fn flows_over_the_limit_are_told() {
    let mut book = FlowBook {
        limit: 1,
        ..FlowBook::default()
    };
    book.add(seen(flow(1, 7, "192.0.2.1", 443), 1));
    book.add(seen(ended(flow(2, 7, "192.0.2.1", 443), EndReason::Fin), 5));
    let shown = book.rows(&identities(), By::Flow, Counted::Period, &Filter::default());
    assert_eq!(shown.rows.len(), 1);
    assert!(shown.notes[0].contains("1 that ended, with 5 bytes sent"));
}
