//! Packets that a filter drops on purpose: each flow has as many as the filter counted, and why.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, UdpSocket},
};

use anyhow::{Context as _, Result};
use probe_user::flows::FlowRecord;
use tests::{
    exempt::Missing,
    flowlog::FlowLog,
    scrape::Scrape,
    skip::{skip, unless_available},
    wait::{LONG, poll},
    wire::{End, FAR, FAR_V6, Wire},
};

use crate::faults::Watched;

const REASON: &str = "netfilter_drop";
/// What is sent there does not come in.
const NO_WAY_IN: u16 = 7201;
/// What is sent there is answered, and the answer does not come in.
const NO_WAY_BACK: u16 = 7202;
/// What is sent there does not go out.
const NO_WAY_OUT: u16 = 7203;
/// Nobody can connect there.
const NO_HANDSHAKE: u16 = 7204;

const IN: u64 = 300;
const BACK: u64 = 70;
const OUT: u64 = 50;
const ATTEMPTS: u64 = 8;

/// Sends datagrams from a socket of the near end.
fn send(wire: &Wire, host: &str, port: u16, packets: u64) -> Result<UdpSocket> {
    let host: IpAddr = host.parse()?;
    let any = if host.is_ipv6() {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let socket = wire.near.netns.inside(|| UdpSocket::bind(any))?;
    for _ in 0..packets {
        socket.send_to(b"lost", (host, port))?;
    }
    Ok(socket)
}

/// Packets that the rule of a port has counted at an end.
fn counted(end: &End, port: u16) -> Result<u64> {
    let rules = end.netns.run("nft", "nftables", "list ruleset")?;
    let rules = rules
        .lines()
        .filter(|line| line.contains(&port.to_string()));
    let counts = rules.filter_map(|line| {
        let (_, rest) = line.split_once("counter packets ")?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    });
    let counts: Vec<_> = counts.collect();
    counts.first().copied().context("the rule counts")
}

/// Bytes of kernel memory in the receive queue of a datagram socket: `rx_queue` of proc_net_udp(5).
fn queued(end: &End, port: u16) -> Result<u64> {
    let table = end
        .netns
        .inside(|| fs::read_to_string("/proc/thread-self/net/udp"))?;
    let local = format!(":{port:04X}");
    let of_port = table.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let address = fields.next()?;
        // After the peer's address and the state.
        let (_, queue) = fields.nth(2)?.split_once(':')?;
        address.ends_with(&local).then_some(queue)
    });
    Ok(u64::from_str_radix(of_port.context("no such socket")?, 16)?)
}

fn drop_outgoing(end: &End, rule: &str) -> Result<()> {
    let nft = |args: &str| end.netns.run("nft", "nftables", args);
    nft("add table inet np")?;
    nft("add chain inet np out { type filter hook output priority 0 ; }")?;
    nft(&format!("add rule inet np out {rule} drop")).map(drop)
}

fn drop_all(wire: &Wire) -> Result<()> {
    let (near, far) = (&wire.near, &wire.far);
    far.drop_incoming(&format!("udp dport {NO_WAY_IN} counter"))?;
    far.drop_incoming(&format!("tcp dport {NO_HANDSHAKE} counter"))?;
    near.drop_incoming(&format!("udp sport {NO_WAY_BACK} counter"))
}

fn live(wire: &Wire) -> Result<()> {
    let (near, far) = (&wire.near, &wire.far);
    send(wire, FAR, NO_WAY_IN, IN)?;
    send(wire, FAR_V6, NO_WAY_IN, IN)?;
    assert_eq!(counted(far, NO_WAY_IN)?, 2 * IN);

    let answers = far.netns.inside(|| UdpSocket::bind((FAR, NO_WAY_BACK)))?;
    let _asked = send(wire, FAR, NO_WAY_BACK, BACK)?;
    for _ in 0..BACK {
        let (_, from) = answers.recv_from(&mut [0; 16])?;
        answers.send_to(b"lost too", from)?;
    }
    assert_eq!(counted(near, NO_WAY_BACK)?, BACK);

    // A flow that there is already.
    let taken = far.netns.inside(|| UdpSocket::bind((FAR, NO_WAY_OUT)))?;
    let socket = send(wire, FAR, NO_WAY_OUT, 1)?;
    // What nobody has read when its socket is closed is dropped as well.
    taken.recv_from(&mut [0; 16])?;
    drop_outgoing(near, &format!("udp dport {NO_WAY_OUT} counter"))?;
    for _ in 0..OUT {
        // The sender is told.
        assert!(socket.send_to(b"lost", (FAR, NO_WAY_OUT)).is_err());
    }
    assert_eq!(counted(near, NO_WAY_OUT)?, OUT);

    // One more attempt after the first, and no others.
    near.netns.set("ipv4/tcp_syn_retries", "1")?;
    _ = near.netns.set("ipv4/tcp_syn_linear_timeouts", "0");
    let said = wire.run(&format!(
        "attempts --host {FAR} --port {NO_HANDSHAKE} --connections {ATTEMPTS}"
    ))?;
    assert_eq!(said["failed"]["TimedOut"], ATTEMPTS, "{said}");
    Ok(())
}

/// Packets that were dropped of some flows, from the initiator and to it; by interval, which add up to the totals of the last.
fn dropped<'a>(flows: impl Iterator<Item = &'a FlowRecord<'static>>) -> (u64, u64) {
    let mut sums = (0, 0);
    let mut totals = BTreeMap::new();
    let mut by_reason = BTreeMap::<String, u64>::new();
    for flow in flows {
        let (forth, back) = (
            flow.drops_fwd.unwrap_or_default(),
            flow.drops_rev.unwrap_or_default(),
        );
        sums = (sums.0 + forth, sums.1 + back);
        let total = (
            flow.drops_fwd_total.unwrap_or_default(),
            flow.drops_rev_total.unwrap_or_default(),
        );
        totals.insert(flow.flow_id, total);
        for (reason, packets) in flow.drop_reasons.iter().flatten() {
            *by_reason.entry(reason.to_string()).or_default() += packets;
        }
    }
    let total = totals
        .values()
        .fold((0, 0), |sum: (u64, u64), it| (sum.0 + it.0, sum.1 + it.1));
    assert_eq!(sums, total, "intervals add up to totals");
    let expected: Vec<_> = Some((REASON.to_owned(), sums.0 + sums.1))
        .filter(|(_, packets)| *packets > 0)
        .into_iter()
        .collect();
    assert_eq!(by_reason.into_iter().collect::<Vec<_>>(), expected);
    sums
}

fn of<'a>(
    log: &'a FlowLog,
    port: u16,
    direction: &'a str,
) -> impl Iterator<Item = &'a FlowRecord<'static>> {
    log.flows
        .iter()
        .filter(move |flow| flow.dst_port == Some(port) && flow.direction == direction)
}

#[test]
fn flows_have_what_a_filter_dropped_of_them() -> Result<()> {
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    if !watched.is_on("drops")? {
        skip("drops", "not attached here; `nodeprobe doctor` says why");
        return Ok(());
    }
    let Some(()) = unless_available("nftables", drop_all(&watched.wire)) else {
        return Ok(());
    };
    live(&watched.wire)?;
    let syns = counted(&watched.wire.far, NO_HANDSHAKE)?;
    assert_eq!(syns, 2 * ATTEMPTS);
    let (log, _wire) = watched.read_log()?;

    assert_eq!(dropped(of(&log, NO_WAY_IN, "egress")), (2 * IN, 0));
    for version in [4, 6] {
        let flows = of(&log, NO_WAY_IN, "egress").filter(|flow| flow.ip_version == version);
        assert_eq!(dropped(flows), (IN, 0), "IPv{version}");
    }
    // Nothing came to a socket there.
    assert_eq!(of(&log, NO_WAY_IN, "ingress").count(), 0);
    // Both sockets know of it: who asked, and whose answers were dropped.
    for direction in ["egress", "ingress"] {
        assert_eq!(
            dropped(of(&log, NO_WAY_BACK, direction)),
            (0, BACK),
            "{direction}"
        );
    }
    assert_eq!(dropped(of(&log, NO_WAY_OUT, "egress")), (OUT, 0));
    let sent: u64 = of(&log, NO_WAY_OUT, "egress")
        .map(|flow| flow.packets_fwd)
        .sum();
    assert_eq!(sent, 1, "what was not sent is not counted as sent");

    let attempts: Vec<_> = of(&log, NO_HANDSHAKE, "egress").collect();
    // Their sockets are long closed: what ends with the agent has an end that nobody saw, and no port to find packets by.
    let ends: Vec<_> = attempts.iter().filter(|it| it.event == "end").collect();
    assert_eq!(ends.len() as u64, ATTEMPTS);
    let seen: Vec<_> = ends
        .iter()
        .filter(|it| it.end_reason.as_deref() != Some("shutdown"))
        .collect();
    let unseen = ATTEMPTS - seen.len() as u64;
    let excused = Missing { skipped: 0, unseen }.excuse(ATTEMPTS)?;
    assert!(excused.matches(ATTEMPTS, seen.len() as u64));
    for end in &seen {
        assert_eq!(end.drops_fwd_total, Some(2), "{end:?}");
    }
    let sums = dropped(attempts.iter().copied());
    let least = syns - 2 * unseen;
    assert!((least..=syns).contains(&sums.0), "{sums:?}: {attempts:?}");
    assert_eq!(sums.1, 0, "{attempts:?}");
    Ok(())
}

const DROPS: &str = "nodeprobe_container_packet_drops_total";

/// An agent that knows of drops; `None` after saying what is missing.
fn watched() -> Result<Option<Watched>> {
    let Some(watched) = Watched::new()? else {
        return Ok(None);
    };
    if !watched.is_on("drops")? {
        skip("drops", "not attached here; `nodeprobe doctor` says why");
        return Ok(None);
    }
    Ok(Some(watched))
}

/// The kernel knows no socket of a packet that it drops on its way in.
#[test]
fn what_a_filter_drops_on_its_way_in_belongs_to_the_container_that_sent_it() -> Result<()> {
    const ASKED: u64 = 7;
    const PORT: u16 = 7205;
    let Some(watched) = watched()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    let block = || {
        far.drop_incoming(&format!("udp dport {PORT} counter"))?;
        far.drop_incoming(&format!("tcp dport {NO_HANDSHAKE} counter"))
    };
    if unless_available("nftables", block()).is_none() {
        return Ok(());
    }
    near.netns.set("ipv4/tcp_syn_retries", "1")?;
    watched.wire.run(&format!(
        "ask-in-vain --host {FAR} --port {PORT} --packets {ASKED}"
    ))?;
    watched.wire.run(&format!(
        "attempts --host {FAR} --port {NO_HANDSHAKE} --connections {ATTEMPTS}"
    ))?;
    let dropped = counted(far, PORT)? + counted(far, NO_HANDSHAKE)?;
    assert!(dropped >= ASKED + 2 * ATTEMPTS, "{dropped}");
    watched.shows(near, &[(DROPS, ("reason", REASON), dropped)])?;
    watched.shows(far, &[(DROPS, ("", ""), 0)])?;
    Ok(())
}

/// Nothing is lost, and the kernel frees much as if it were.
#[test]
fn a_healthy_service_has_no_drops() -> Result<()> {
    const PORT: u16 = 7206;
    let Some(watched) = watched()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    let site = watched
        .wire
        .serve(&format!("site --port {PORT} --answer 3000"))?;
    watched.wire.run(&format!(
        "visit --to {FAR} --port {PORT} --connections 200 --send 2000"
    ))?;
    site.close()?;
    // What is left in a queue when its socket is closed. What arrives later would be a drop.
    let socket = far.netns.inside(|| UdpSocket::bind((FAR, PORT)))?;
    let arrived = |bytes: u64| {
        poll(LONG, "the datagrams in their queue", || {
            let queued = queued(far, PORT).ok()?;
            (queued >= bytes).then_some(queued)
        })
    };
    send(&watched.wire, FAR, PORT, 1)?;
    let one = arrived(1)?;
    send(&watched.wire, FAR, PORT, 19)?;
    arrived(20 * one)?;
    drop(socket);
    watched.shows(near, &[("nodeprobe_tcp_closed_total", ("", ""), 200)])?;
    let scrape = watched.agent.scrape()?;
    // On a slow machine a segment is sent twice, and its late copy is a drop: of a socket that has had it, or has closed.
    const LATE: [&str; 2] = ["tcp_rfc7323_paws", "tcp_close"];
    let late = near.nstat("TcpRetransSegs")? + far.nstat("TcpRetransSegs")?;
    let mut dropped = 0;
    for end in [near, far] {
        let path = end.cgroup.path();
        for sample in scrape.with(DROPS, &[("container", &path)]) {
            assert!(LATE.contains(&sample.label("reason")), "{sample:?}");
            dropped += sample.value as u64;
        }
    }
    assert!(dropped <= late, "{dropped} drops, {late} late copies");
    let purged = ("reason", "queue_purge");
    assert_eq!(
        scrape.sum("nodeprobe_node_packet_drops_total", &[purged]),
        0.0
    );
    let (log, _wire) = watched.log()?;
    let of_tcp = |flow: &&FlowRecord<'_>| flow.dst_port == Some(PORT) && flow.transport == "tcp";
    let flows = log.flows.iter().filter(of_tcp);
    // A record without an interval has no drops of one.
    let drops = |flow: &FlowRecord<'_>| {
        flow.drops_fwd.unwrap_or_default() + flow.drops_rev.unwrap_or_default()
    };
    let dropped: Vec<_> = flows.filter(|flow| drops(flow) > 0).collect();
    let sum: u64 = dropped.iter().map(|flow| drops(flow)).sum();
    assert!(sum <= late, "{late} late copies, {dropped:?}");
    Ok(())
}

/// Two buffers may be ninety packets.
#[test]
fn a_container_and_its_flow_have_the_same_drops() -> Result<()> {
    const PORT: u16 = 7207;
    let Some(watched) = watched()? else {
        return Ok(());
    };
    let near = &watched.wire.near;
    let rule = format!("tcp dport {PORT} meta length > 3000 numgen inc mod 8 0 counter");
    if unless_available("nftables", drop_outgoing(near, &rule)).is_none() {
        return Ok(());
    }
    let site = watched.wire.serve(&format!("site --port {PORT}"))?;
    watched
        .wire
        .run(&format!("visit --to {FAR} --port {PORT} --bulk 3000000"))?;
    site.close()?;
    let buffers = counted(near, PORT)?;
    let path = near.cgroup.path();
    let labels = [("container", path.as_str()), ("reason", REASON)];
    // A buffer of this length is more than one packet.
    let dropped = |scrape: &Scrape| scrape.sum(DROPS, &labels) as u64;
    let scrape = watched
        .agent
        .scrape_until(LONG, |scrape| dropped(scrape) > buffers)?;
    let by_container = dropped(&scrape);
    let (log, _wire) = watched.log()?;
    assert!(
        buffers > 0 && by_container > buffers,
        "{by_container} of {buffers}"
    );
    let by_flow: u64 = of(&log, PORT, "egress")
        .filter_map(|flow| flow.drop_reasons.as_ref()?.get(REASON))
        .sum();
    assert_eq!(by_flow, by_container);
    Ok(())
}
