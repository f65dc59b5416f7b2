//! Attempts to connect that fail without an answer of the other side, and what the log says of one before it ends.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use probe_user::flows::FlowRecord;
use tests::{
    flowlog::FlowLog,
    skip::unless_available,
    wait::LONG,
    wire::{FAR, Wire},
};

use crate::faults::Watched;

const ATTEMPTS: &str = "nodeprobe_tcp_connects_total";
const FAILED: &str = "nodeprobe_tcp_failed_connects_total";

#[test]
fn an_attempt_that_this_host_refuses_is_an_attempt_that_failed() -> Result<()> {
    // Host, count, what the program is told, and the reason that this counts for.
    const REFUSED: [(&str, u64, &str, &str); 6] = [
        ("10.79.0.1", 3, "HostUnreachable", "unreachable"),
        ("10.80.0.1", 4, "PermissionDenied", "prohibited"),
        ("10.81.0.1", 5, "InvalidInput", "unreachable"),
        // No route at all.
        ("192.0.2.1", 6, "NetworkUnreachable", "unreachable"),
        ("2001:db8::1", 7, "NetworkUnreachable", "unreachable"),
        ("::ffff:192.0.2.1", 8, "NetworkUnreachable", "unreachable"),
    ];
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let near = &watched.wire.near;
    near.netns.ip("route add unreachable 10.79.0.0/16")?;
    near.netns.ip("route add prohibit 10.80.0.0/16")?;
    near.netns.ip("route add blackhole 10.81.0.0/16")?;
    let mut expected = BTreeMap::<&str, u64>::new();
    for (host, count, told, reason) in REFUSED {
        let args = format!("attempts --host {host} --port 7300 --connections {count}");
        let said = watched.wire.run(&args)?;
        assert_eq!(said["failed"][told], count, "{host}: {said}");
        *expected.entry(reason).or_default() += count;
    }
    // An answer of the other side is not counted twice, and neither is a call that is no attempt.
    let args = format!("attempts --host {FAR} --port 7301 --connections 9");
    watched.wire.run(&args)?;
    expected.insert("refused", 9);
    let all = expected.values().sum();
    let expected = [
        (ATTEMPTS, ("", ""), all),
        (FAILED, ("", ""), all),
        (FAILED, ("reason", "unreachable"), expected["unreachable"]),
        (FAILED, ("reason", "prohibited"), expected["prohibited"]),
        (FAILED, ("reason", "refused"), expected["refused"]),
    ];
    watched.shows(near, &expected)?;
    Ok(())
}

#[test]
fn an_attempt_without_a_free_port_says_so() -> Result<()> {
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let near = &watched.wire.near;
    // Two ports, and whoever listens at the other end keeps them in use.
    near.netns.set("ipv4/ip_local_port_range", "50000 50001")?;
    let full = watched
        .wire
        .serve(&format!("full --host {FAR} --port 7302"))?;
    let held = watched.wire.ready(&format!(
        "attempts --host {FAR} --port 7302 --connections 2"
    ))?;
    held.work()?;
    let args = format!("attempts --host {FAR} --port 7302 --connections 3");
    let said = watched.wire.run(&args)?;
    assert_eq!(said["failed"]["AddrNotAvailable"], 3, "{said}");
    let expected = [
        (ATTEMPTS, ("", ""), 5),
        (FAILED, ("reason", "no_local_port"), 3),
    ];
    watched.shows(near, &expected)?;
    held.finish()?;
    full.close()?;
    Ok(())
}

/// An attempt from the near end that the program gives up itself, after so long.
fn give_up(wire: &Wire, host: &str, port: u16, after: Duration) -> Result<()> {
    let address: SocketAddr = format!("{host}:{port}").parse()?;
    let attempt = || TcpStream::connect_timeout(&address, after);
    let failed = wire.near.netns.inside(attempt).err();
    failed.context("there is no way there").map(drop)
}

fn of(log: &FlowLog, port: u16) -> impl Iterator<Item = &FlowRecord<'static>> {
    let flows = log.flows.iter();
    flows.filter(move |flow| flow.dst_port == Some(port) && flow.direction == "egress")
}

/// The answer of a router comes at once, while the socket is at work: the socket only remembers it, and the program gives up
/// before the next one.
#[test]
fn an_answer_of_the_network_is_the_reason_of_a_client_that_gives_up() -> Result<()> {
    const COUNT: usize = 4;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    far.netns.set("ipv4/ip_forward", "1")?;
    far.netns.set("ipv4/icmp_ratelimit", "0")?;
    far.netns.ip("route add unreachable 10.78.0.0/16")?;
    near.netns
        .ip(&format!("route add 10.78.0.0/16 via {FAR}"))?;
    for after in [300; COUNT].into_iter().chain([2500; COUNT]) {
        give_up(
            &watched.wire,
            "10.78.0.1",
            7303,
            Duration::from_millis(after),
        )?;
        // A router answers a host once a second. On older kernels no limit of ICMP messages means that it saves
        // nothing up for several at once: both limits share one account, `ip_error` in net/ipv4/route.c.
        thread::sleep(Duration::from_millis(1200));
    }
    let (log, _wire) = watched.log()?;
    let ends: Vec<_> = of(&log, 7303).filter(|it| it.event == "end").collect();
    let told = |end: &&FlowRecord<'static>| {
        let reason = end.end_reason.clone().unwrap_or_default();
        let error = end.connect_error.clone().unwrap_or_default();
        (
            reason,
            error,
            end.duration_ns / 1_000_000,
            end.packets_fwd_total,
        )
    };
    let told: Vec<_> = ends.iter().map(told).collect();
    assert_eq!(told.len(), 2 * COUNT);
    for (reason, error, ..) in &told {
        assert_eq!(
            (reason.as_ref(), error.as_ref()),
            ("unreachable", "EHOSTUNREACH"),
            "{told:?}"
        );
    }
    Ok(())
}

#[test]
fn an_attempt_has_its_port_and_its_community_id_from_its_first_record_on() -> Result<()> {
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let far = &watched.wire.far;
    let Some(()) = unless_available("nftables", far.drop_incoming("tcp dport 7304")) else {
        return Ok(());
    };
    // Long enough for some readings of the table.
    give_up(&watched.wire, FAR, 7304, Duration::from_secs(4))?;
    let (log, _wire) = watched.log()?;
    let records: Vec<_> = of(&log, 7304).collect();
    let events: Vec<_> = records.iter().map(|it| it.event.as_ref()).collect();
    assert_eq!(events, ["start", "end"]);
    let ids: Vec<_> = records
        .iter()
        .map(|it| (it.src_port, it.community_id.clone()))
        .collect();
    assert_ne!(ids[0].0, Some(0), "{records:?}");
    assert_eq!(ids[0], ids[1], "{records:?}");
    Ok(())
}

/// What this host drops on its way out, the socket tries to send once more as if it were new.
#[test]
fn a_segment_that_this_host_drops_is_not_counted_twice() -> Result<()> {
    const BULK: u64 = 3_400_000;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let near = &watched.wire.near;
    let nft = |args: &str| near.netns.run("nft", "nftables", args);
    let drop_some = || {
        nft("add table inet np")?;
        nft("add chain inet np out { type filter hook output priority 0 ; }")?;
        nft(
            "add rule inet np out tcp dport 7305 meta length > 1000 numgen inc mod 8 0 counter drop",
        )
    };
    if unless_available("nftables", drop_some()).is_none() {
        return Ok(());
    }
    let site = watched.wire.serve("site --port 7305 --answer 10")?;
    watched
        .wire
        .run(&format!("visit --to {FAR} --port 7305 --bulk {BULK}"))?;
    site.close()?;
    let rules = nft("list ruleset")?;
    assert!(!rules.contains("counter packets 0 "), "{rules}");
    let (log, wire) = watched.log()?;
    for (end, direction) in [(&wire.near, "egress"), (&wire.far, "ingress")] {
        let path = end.cgroup.path();
        let flows = log.of(&path).filter(|it| it.transport == "tcp");
        assert_eq!(tests::flowlog::sums(flows).bytes_fwd, BULK, "{direction}");
    }
    Ok(())
}

/// Retransmissions as a share of what was sent, of a connection that goes on.
#[test]
fn a_connection_that_goes_on_has_its_segments_among_those_of_its_container() -> Result<()> {
    const BULK: u64 = 2 << 20;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    let rule = "meta l4proto tcp numgen inc mod 50 < 1";
    if unless_available("nftables", far.drop_incoming(rule)).is_none() {
        return Ok(());
    }
    let site = watched.wire.serve("site --port 7306")?;
    let visit = watched.wire.ready(&format!(
        "visit --to {FAR} --port 7306 --bulk {BULK} --keep"
    ))?;
    visit.work()?;
    let path = near.cgroup.path();
    let labels = [("container", path.as_str())];
    // The kernel counts those sent first, and those sent again, apart. More may be on their way.
    let mut found = (0, 0, 0, 0);
    watched.agent.scrape_until(LONG, |scrape| {
        let counted =
            || Ok::<_, anyhow::Error>((near.nstat("TcpOutSegs")?, near.nstat("TcpRetransSegs")?));
        let sum = |name| scrape.sum(name, &labels) as u64;
        let (first, again) = counted().unwrap_or_default();
        found = (
            sum("nodeprobe_tcp_segments_sent_total"),
            sum("nodeprobe_tcp_segments_retransmitted_total"),
            first + again,
            again,
        );
        again > 0 && (found.0, found.1) == (found.2, found.3)
    })?;
    assert!(
        found.3 > 0 && (found.0, found.1) == (found.2, found.3),
        "{found:?}"
    );
    visit.finish()?;
    site.close()?;
    Ok(())
}
