use std::{
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::*;
use crate::render::{
    Charset, fixtures, json, text,
    view::{
        By, ContainerRef, Direction, DnsView, EndView, FlowView, LookupView, ProcessRef, Report,
        TcpView,
    },
};

fn look(width: usize) -> Look {
    Look {
        width,
        colour: false,
        charset: Charset::Unicode,
    }
}

fn summary(tool: &'static str, by: By) -> Summary {
    Summary {
        tool,
        duration: Duration::from_secs(10),
        started: UNIX_EPOCH + Duration::from_secs(1_767_323_045),
        by,
        lost: BTreeMap::new(),
        notes: Vec::new(),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn end(ip: &str, port: u16, name: Option<&str>, container: Option<ContainerRef>) -> EndView {
    EndView {
        address: address(ip),
        port: Some(port),
        name: name.map(Into::into),
        container,
    }
}

fn counts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let counts = counts.iter();
    counts.map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

fn flows(by: By) -> Report<FlowView> {
    let cart = fixtures::pod("shop", "cart-7d9f8b6c5-x2x4z", "cart");
    let postgres = fixtures::pod("shop", "postgres-0", "postgres");
    let tcp = FlowView {
        container: cart.clone(),
        process: Some(ProcessRef {
            pid: 4711,
            comm: "cart".into(),
        }),
        direction: Some(Direction::Egress),
        transport: Some("tcp".into()),
        local: Some(end("10.0.0.7", 41_000, None, None)),
        remote: Some(end("10.0.0.9", 5432, None, Some(postgres.clone()))),
        flows: 1,
        bytes_sent: 1_204_877,
        bytes_received: 88_310_442,
        packets_sent: 9_120,
        packets_received: 61_002,
        retransmits: Some(12),
        rtt_seconds: Some(0.000_213),
        state: Some("established".into()),
        ..FlowView::default()
    };
    let accepted = FlowView {
        container: postgres,
        direction: Some(Direction::Ingress),
        initiator_guessed: true,
        remote: Some(end("10.0.0.7", 41_000, None, Some(cart.clone()))),
        local: Some(end("10.0.0.9", 5432, None, None)),
        process: None,
        bytes_sent: 88_310_442,
        bytes_received: 1_204_877,
        packets_sent: 61_002,
        packets_received: 9_120,
        state: None,
        ends: counts(&[("fin", 1)]),
        ..tcp.clone()
    };
    let named = FlowView {
        container: fixtures::host("ssh.service"),
        remote: Some(end("192.0.2.7", 443, Some("api.example.com"), None)),
        bytes_sent: 1_800,
        bytes_received: 42_000,
        packets_sent: 14,
        packets_received: 31,
        retransmits: Some(0),
        state: None,
        ends: counts(&[("rst_received", 1)]),
        ..tcp.clone()
    };
    let datagrams = FlowView {
        container: cart,
        transport: Some("udp".into()),
        remote: Some(end("2001:db8::53", 53, None, None)),
        bytes_sent: 60,
        bytes_received: 310,
        packets_sent: 2,
        packets_received: 2,
        retransmits: None,
        rtt_seconds: None,
        state: None,
        process: None,
        ..tcp.clone()
    };
    Report {
        summary: summary("flows", by),
        rows: vec![datagrams, tcp, accepted, named],
    }
}

fn peers() -> Report<FlowView> {
    let mut report = flows(By::Peer);
    for row in &mut report.rows {
        (row.process, row.local, row.state) = (None, None, None);
        row.flows = 3;
        if let Some(end) = &mut row.remote {
            end.port = None;
        }
    }
    report.rows[1].direction = None;
    report.rows[1].ends = counts(&[("fin", 2), ("refused", 1)]);
    report
}

fn tcp() -> Report<TcpView> {
    let cart = TcpView {
        container: fixtures::pod("shop", "cart-7d9f8b6c5-x2x4z", "cart"),
        attempts: 12_011,
        connected: 11_990,
        accepted: 4,
        closed: 11_800,
        failed: counts(&[("timeout", 3), ("refused", 18)]),
        retransmits_syn: 9,
        retransmits_data: 120,
        retransmits_probe: 14,
        segments_sent: 23_400,
        segments_retransmitted: 171,
        listen_drops: 6,
        listen_drops_by_port: counts(&[("8080", 4), ("9090", 2)]),
        resets_sent: 1,
        resets_received: 18,
        connect: fixtures::histogram(200_000, 11_990),
        accept: fixtures::histogram(100_000, 4),
        rtt: fixtures::histogram(150_000, 11_800),
        drops: Some(counts(&[("tcp_csum", 2), ("socket_backlog", 7)])),
    };
    let quiet = TcpView {
        container: fixtures::host("ssh.service"),
        accepted: 1,
        drops: Some(BTreeMap::new()),
        ..TcpView::default()
    };
    Report {
        summary: summary("tcp", By::Container),
        rows: vec![cart, quiet],
    }
}

fn dns(by: By) -> Report<DnsView> {
    let cart = DnsView {
        container: fixtures::pod("shop", "cart-7d9f8b6c5-x2x4z", "cart"),
        name: (by == By::Name).then(|| "postgres.shop.svc.cluster.local".into()),
        kind: (by == By::Name).then(|| "A".into()),
        server: (by == By::Server).then(|| address("10.96.0.10")),
        lookups: 412,
        timeouts: 2,
        pending: 1,
        rcodes: counts(&[("NOERROR", 400), ("SERVFAIL", 10)]),
        latency: fixtures::histogram(400_000, 410),
        addresses: [address("10.0.0.9"), address("10.0.0.10")].into(),
    };
    let wrong = DnsView {
        name: (by == By::Name).then(|| "nowhere.example".into()),
        kind: (by == By::Name).then(|| "AAAA".into()),
        server: (by == By::Server).then(|| address("2001:db8::53")),
        lookups: 7,
        timeouts: 0,
        rcodes: counts(&[("NXDOMAIN", 7)]),
        addresses: [].into(),
        ..cart.clone()
    };
    Report {
        summary: summary("dns", by),
        rows: vec![cart, wrong],
    }
}

fn shown(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The table of flows as the command sorts them by default.
fn flow_table(report: &Report<FlowView>, top: Option<usize>, look: &Look) -> String {
    let mut report = report.clone();
    report.rows.sort_by(FlowView::compare);
    shown(|out| write_flows(out, &report, top, look))
}

#[test]
fn rows_keep_the_order_of_the_report() {
    let mut report = tcp();
    let first_row = |report: &Report<TcpView>| {
        let text = shown(|out| write_tcp(out, report, None, &look(200)));
        text.lines().nth(3).unwrap().to_owned()
    };
    let first = first_row(&report);
    report.rows.reverse();
    assert_ne!(first_row(&report), first);
}

#[test]
fn flows_at_80_140_and_200_columns() {
    for width in [80, 140, 200] {
        let text = flow_table(&flows(By::Flow), None, &look(width));
        fixtures::assert_golden(&format!("flows-{width}.txt"), &text);
    }
}

#[test]
fn peers_and_open_connections() {
    let text = flow_table(&peers(), None, &look(140));
    fixtures::assert_golden("flows-peer-140.txt", &text);
    let mut open = flows(By::Connection);
    open.rows.truncate(2);
    open.rows.remove(0);
    let text = flow_table(&open, None, &look(160));
    fixtures::assert_golden("tcp-connections-160.txt", &text);
}

#[test]
fn tcp_at_80_and_200_columns() {
    for width in [80, 200] {
        let text = shown(|out| write_tcp(out, &tcp(), None, &look(width)));
        fixtures::assert_golden(&format!("tcp-{width}.txt"), &text);
    }
}

#[test]
fn look_ups_by_name_and_server() {
    for (by, name) in [(By::Name, "name"), (By::Server, "server")] {
        let text = shown(|out| write_dns(out, &dns(by), None, &look(140)));
        fixtures::assert_golden(&format!("dns-{name}-140.txt"), &text);
    }
}

#[test]
fn the_rest_has_the_sums_of_what_is_not_shown() {
    let text = flow_table(&flows(By::Flow), Some(1), &look(200));
    let rest = text.lines().find(|line| line.starts_with("... and 3 more"));
    let sent = 88_310_442 + 1_800 + 60;
    assert!(
        rest.unwrap().contains(&crate::render::format::bytes(sent)),
        "{text}"
    );
    let text = shown(|out| write_dns(out, &dns(By::Name), Some(1), &look(200)));
    assert!(text.contains("... and 1 more"), "{text}");
    assert!(text.contains("NXDOMAIN 7"), "{text}");
    let text = shown(|out| write_tcp(out, &tcp(), Some(1), &look(200)));
    assert!(text.contains("... and 1 more"), "{text}");
}

#[test]
fn drops_that_were_not_measured_are_not_shown_as_zero() {
    let mut report = tcp();
    report.rows.truncate(1);
    report.rows[0].drops = None;
    let text = shown(|out| write_tcp(out, &report, None, &look(200)));
    assert!(text.lines().nth(3).unwrap().ends_with("–"), "{text}");
}

#[test]
fn what_is_unknown_is_absent_from_json() {
    let mut out = Vec::new();
    json::write_json(&mut out, &flows(By::Flow)).unwrap();
    let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let row = &object["rows"][0];
    assert_eq!(row["transport"], "udp");
    assert_eq!(row["direction"], "egress");
    assert_eq!(row["remote"]["ip"], "2001:db8::53");
    for absent in ["process", "state", "retransmits", "tcp_srtt_ns"] {
        assert!(row.get(absent).is_none(), "{absent}");
    }
    assert_eq!(object["rows"][2]["initiator_guessed"], true);
}

#[test]
fn a_look_up_is_one_line_of_a_stream() {
    let view = LookupView {
        time: UNIX_EPOCH + Duration::from_secs(1_767_323_045),
        container: fixtures::host("ssh.service"),
        server: address("10.96.0.10"),
        transport: "udp",
        name: "a.example".into(),
        kind: "AAAA".into(),
        rcode: None,
        timeout: true,
        latency_seconds: None,
        addresses: Vec::new(),
        aliases: Vec::new(),
        ttl_seconds: None,
    };
    let text = shown(|out| json::write_row(out, &view));
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert_eq!(line["type"], "lookup");
    assert_eq!(line["ts"], "2026-01-02T03:04:05.000000000Z");
    assert_eq!(line["timeout"], true);
    assert!(line.get("rcode").is_none());
}

proptest! {
    #[test]
    fn any_names_at_any_width_are_shown_without_harm(
        name: String, comm: String, width in 1usize..300, n: u64, ascii: bool,
    ) {
        let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
        let look = Look { width, colour: false, charset };
        let mut flows = flows(By::Flow);
        let mut peers = peers();
        for row in flows.rows.iter_mut().chain(&mut peers.rows) {
            row.container.name = name.clone();
            row.process = Some(ProcessRef { pid: 1, comm: comm.clone() });
            row.ends.insert(comm.clone(), n);
            (row.bytes_sent, row.packets_sent, row.flows) = (n, n, n);
            if let Some(end) = &mut row.remote {
                (end.name, end.container) = (Some(name.clone()), None);
            }
        }
        let mut tcp = tcp();
        for row in &mut tcp.rows {
            row.container.name = name.clone();
            row.failed.insert(comm.clone(), n);
            (row.attempts, row.retransmits_syn) = (n, n);
        }
        let mut dns = dns(By::Name);
        for row in &mut dns.rows {
            row.name = Some(name.clone());
            row.rcodes.insert(comm.clone(), n);
            row.lookups = n;
        }
        let texts = [
            flow_table(&flows, Some(1), &look),
            flow_table(&peers, Some(1), &look),
            shown(|out| write_tcp(out, &tcp, Some(1), &look)),
            shown(|out| write_dns(out, &dns, Some(1), &look)),
        ];
        for line in texts.iter().flat_map(|text| text.lines()) {
            prop_assert!(text::width(line) <= width, "{}", line);
            prop_assert!(line.chars().all(text::is_harmless), "{:?}", line);
        }
    }
}
