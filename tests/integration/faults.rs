//! Faults made on purpose between two network namespaces: the agent says what the kernel's own counters say.

use anyhow::{Context as _, Result, ensure};
use probe_user::flows::FlowRecord;
use tempfile::TempDir;
use tests::{
    exempt::{Excused, Missing},
    flowlog::{FlowLog, sums},
    lock::{Alone, alone},
    nodeprobe::Agent,
    scale::work,
    scrape::Scrape,
    skip::{program, skip, unless_available},
    wait::{LONG, poll},
    wire::{End, FAR, Wire},
};

use crate::traffic::has_probe;

const PORT: u16 = 7000;

/// An agent with a flow log, and the wire that it watches.
pub(crate) struct Watched {
    pub(crate) wire: Wire,
    pub(crate) agent: Agent,
    folder: TempDir,
    _alone: Alone,
}

impl Watched {
    /// `None` after saying what is missing here.
    pub(crate) fn new() -> Result<Option<Self>> {
        let alone = alone();
        let Some(wire) = unless_available("wire", Wire::new()) else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("flows.ndjson");
        let agent = Agent::start(&format!(
            "flows.log = {log:?}\nflows.sweep = \"1s\"\nlimits.naming_deadline = \"0s\"\n"
        ))?;
        let scrape = agent.scrape()?;
        for probe in ["tcp", "flows"] {
            if !has_probe(&scrape, probe) {
                skip(probe, "not attached here; `nodeprobe doctor` says why");
                return Ok(None);
            }
        }
        Ok(Some(Self {
            wire,
            agent,
            folder,
            _alone: alone,
        }))
    }

    /// Whether a probe does all that it can.
    pub(crate) fn is_on(&self, probe: &str) -> Result<bool> {
        let labels = [("probe", probe), ("state", "on")];
        Ok(self.agent.scrape()?.sum("nodeprobe_feature_state", &labels) == 1.0)
    }

    /// Waits until series of an end have these values, less what the kernel kept from programs.
    pub(crate) fn shows(&self, end: &End, expected: &[(&str, (&str, &str), u64)]) -> Result<()> {
        let path = end.cgroup.path();
        let values = |scrape: &Scrape| -> Vec<_> {
            let value = |name: &str, label: (&str, &str)| {
                let labels = [("container", path.as_str()), label];
                // No label stands for all.
                let labels = if label.0.is_empty() {
                    &labels[..1]
                } else {
                    &labels
                };
                scrape.sum(name, labels) as u64
            };
            expected
                .iter()
                .map(|(name, label, _)| (*name, *label, value(name, *label)))
                .collect()
        };
        let agree = |scrape: &Scrape, excused: Excused| {
            let mut pairs = values(scrape).into_iter().zip(expected);
            pairs.all(|(is, expected)| excused.matches(expected.2, is.2))
        };
        // An end that no program saw is found later, by what it left behind.
        let scrape = self
            .agent
            .scrape_until(LONG, |scrape| agree(scrape, missing(scrape).at_most()))?;
        let lost: Vec<_> = scrape
            .with("nodeprobe_records_lost_total", &[])
            .filter(|sample| sample.value > 0.0)
            .collect();
        let most = expected.iter().map(|it| it.2).max().unwrap_or_default();
        let excused = missing(&scrape).excuse(most)?;
        assert!(
            agree(&scrape, excused),
            "{:?}, expected {expected:?}, lost: {lost:?}",
            values(&scrape)
        );
        Ok(())
    }

    /// As [`Self::log`], where something may be missing.
    fn log_with(self, excused: Excused) -> Result<(FlowLog, Wire)> {
        if excused == Excused::default() {
            self.log()
        } else {
            self.read_log()
        }
    }

    /// Ends the agent and reads its log, in which nothing is missing.
    pub(crate) fn log(self) -> Result<(FlowLog, Wire)> {
        let (log, wire) = self.read_log()?;
        log.is_whole()?;
        Ok((log, wire))
    }

    /// Ends the agent and reads its log.
    pub(crate) fn read_log(self) -> Result<(FlowLog, Wire)> {
        let (status, _, said) = self.agent.terminate()?;
        ensure!(status.success(), "{said}");
        let log = FlowLog::read(&self.folder.path().join("flows.ndjson"))?;
        Ok((log, self.wire))
    }
}

/// What the agent counts as missing of the probe `tcp`.
pub(crate) fn missing(scrape: &Scrape) -> Missing {
    let of = |reason| {
        let labels = [("stream", "tcp"), ("reason", reason)];
        scrape.sum("nodeprobe_records_lost_total", &labels) as u64
    };
    Missing {
        skipped: of("recursion"),
        unseen: of("end_missed"),
    }
}

/// The last records of the connections of an end.
fn ends<'a>(log: &'a FlowLog, path: &'a str) -> impl Iterator<Item = &'a FlowRecord<'static>> {
    log.of(path)
        .filter(|flow| flow.event == "end" && flow.transport == "tcp")
}

/// How many connections of an end came to such an end.
fn ended(log: &FlowLog, end: &End, reason: &str, error: Option<&str>) -> usize {
    ends(log, &end.cgroup.path())
        .filter(|flow| {
            let errors = flow
                .connect_error
                .as_deref()
                .or(flow.socket_error.as_deref());
            flow.end_reason.as_deref() == Some(reason) && errors == error
        })
        .count()
}

#[test]
fn connections_that_fail_have_the_reason_that_the_client_was_told() -> Result<()> {
    const FAILED: &str = "nodeprobe_tcp_failed_connects_total";
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    let Some(()) = unless_available("nftables", far.drop_incoming("tcp dport 7001")) else {
        return Ok(());
    };
    // One more attempt, after a second, and a second one to wait for it: three seconds in all.
    near.netns.set("ipv4/tcp_syn_retries", "1")?;
    // Kernels before 6.5 have no such attempts on top.
    _ = near.netns.set("ipv4/tcp_syn_linear_timeouts", "0");
    // A router that answers that there is no way on.
    far.netns.set("ipv4/ip_forward", "1")?;
    far.netns.set("ipv4/icmp_ratelimit", "0")?;
    far.netns.ip("route add unreachable 10.78.0.0/16")?;
    near.netns
        .ip(&format!("route add 10.78.0.0/16 via {FAR}"))?;
    let full = watched
        .wire
        .serve(&format!("full --host {FAR} --port 7002"))?;
    let waiting = watched.wire.ready(&format!(
        "attempts --host {FAR} --port 7002 --connections 2"
    ))?;
    waiting.work()?;

    const UNREACHABLE: u64 = 5;
    const ALL: u64 = 2 + 30 + 14 + UNREACHABLE;
    let attempts = |host: &str, port: u16, count: u64| {
        let args = format!("attempts --host {host} --port {port} --connections {count}");
        watched.wire.run(&args)
    };
    for (port, count, kind) in [
        (7003, 30, "ConnectionRefused"),
        (7001, 10, "TimedOut"),
        (7002, 4, "TimedOut"),
    ] {
        let said = attempts(FAR, port, count)?;
        assert_eq!(said["failed"][kind], count, "{said}");
    }
    // An answer that meets the socket at work is only remembered, and the router limits how many it gives.
    let said = attempts("10.78.0.1", PORT, UNREACHABLE)?;
    let of = |kind: &str| said["failed"][kind].as_u64().unwrap_or_default();
    let (unreachable, late) = (of("HostUnreachable"), of("TimedOut"));
    assert!(unreachable > 0, "{said}");
    assert_eq!(unreachable + late, UNREACHABLE, "{said}");
    let timeouts = 14 + late;
    watched.shows(
        near,
        &[
            ("nodeprobe_tcp_connects_total", ("", ""), ALL),
            (
                "nodeprobe_tcp_connections_total",
                ("direction", "egress"),
                2,
            ),
            (FAILED, ("reason", "refused"), 30),
            (FAILED, ("reason", "timeout"), timeouts),
            (FAILED, ("reason", "unreachable"), unreachable),
            (
                "nodeprobe_tcp_retransmits_total",
                ("kind", "syn"),
                near.nstat("TcpRetransSegs")?,
            ),
        ],
    )?;
    assert!(near.nstat("TcpRetransSegs")? >= 14);
    let dropped = far.nstat("TcpExtListenDrops")?;
    assert!(dropped >= 4, "{dropped}");
    watched.shows(
        far,
        &[("nodeprobe_tcp_listen_drops_total", ("", ""), dropped)],
    )?;
    waiting.finish()?;
    full.close()?;
    let excused = missing(&watched.agent.scrape()?).excuse(ALL)?;
    let (log, wire) = watched.log_with(excused)?;
    let near = &wire.near;
    for (reason, error, count) in [
        ("refused", Some("ECONNREFUSED"), 30),
        ("connect_timeout", Some("ETIMEDOUT"), timeouts),
        ("unreachable", Some("EHOSTUNREACH"), unreachable),
    ] {
        let is = ended(&log, near, reason, error) as u64;
        assert!(excused.matches(count, is), "{reason}: {is} of {count}");
    }
    // One that no program saw ends with the agent.
    assert_eq!(ends(&log, &near.cgroup.path()).count(), ALL as usize);
    Ok(())
}

#[test]
fn a_reset_is_told_by_who_sent_it_and_by_who_received_it() -> Result<()> {
    const COUNT: u64 = 20;
    const SENT: u64 = 3000;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let site = watched.wire.serve(&format!("site --port {PORT}"))?;
    watched.wire.run(&format!(
        "resets --host {FAR} --port {PORT} --connections {COUNT} --send {SENT}"
    ))?;
    let resets = "nodeprobe_tcp_resets_total";
    watched.shows(
        &watched.wire.near,
        &[(resets, ("direction", "sent"), COUNT)],
    )?;
    watched.shows(
        &watched.wire.far,
        &[(resets, ("direction", "received"), COUNT)],
    )?;
    // Segments that come after the reset are answered by another one, which has no socket.
    assert!(watched.wire.near.nstat("TcpOutRsts")? >= COUNT);
    site.close()?;
    let (log, wire) = watched.log()?;
    let (near, far) = (&wire.near, &wire.far);
    assert_eq!(ended(&log, near, "rst_sent", None), COUNT as usize);
    assert_eq!(
        ended(&log, far, "rst_received", Some("ECONNRESET")),
        COUNT as usize
    );
    for end in [near, far] {
        let sums = sums(ends(&log, &end.cgroup.path()).filter(|flow| flow.event == "end"));
        assert_eq!((sums.flows, sums.bytes_fwd), (COUNT, COUNT * SENT));
    }
    Ok(())
}

/// Loses 1 % of what comes in, or of what goes out where the kernel has the module for that.
fn lose_one_percent(end: &End) -> Result<()> {
    // The kernel sends buffers again, which are counted, and may have many segments each.
    end.netns.ip("link set eth0 gso_max_segs 1")?;
    let netem = "qdisc add dev eth0 root netem loss 1%";
    end.netns
        .run("tc", "iproute2", netem)
        .map(drop)
        .or_else(|_| end.drop_incoming("meta l4proto tcp numgen random mod 100 < 1"))
}

/// Ends what [`lose_one_percent`] began.
fn lose_nothing(end: &End) -> Result<()> {
    end.netns
        .run("tc", "iproute2", "qdisc del dev eth0 root")
        .or_else(|_| end.netns.run("nft", "nftables", "delete table inet np"))
        .map(drop)
}

#[test]
fn lost_segments_are_sent_again_as_often_as_the_kernel_says() -> Result<()> {
    let bulk = work(64 << 20, 4 << 20);
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    for end in [near, far] {
        if unless_available("nftables", lose_one_percent(end)).is_none() {
            return Ok(());
        }
    }
    let site = watched
        .wire
        .serve(&format!("site --port {PORT} --answer 3000"))?;
    watched.wire.run(&format!(
        "visit --to {FAR} --port {PORT} --connections 20 --send 20000 --bulk {bulk}"
    ))?;
    site.close()?;
    let (retransmitted, answered) = (near.nstat("TcpRetransSegs")?, far.nstat("TcpRetransSegs")?);
    assert!(retransmitted > 0, "nothing was lost of {bulk} bytes");
    watched.shows(
        near,
        &[("nodeprobe_tcp_retransmits_total", ("", ""), retransmitted)],
    )?;
    watched.shows(
        far,
        &[("nodeprobe_tcp_retransmits_total", ("", ""), answered)],
    )?;
    let (log, wire) = watched.log()?;
    let path = wire.near.cgroup.path();
    let by_flow: u64 = ends(&log, &path)
        .filter_map(|flow| flow.tcp_retransmits_total)
        .sum();
    // Those of a handshake are in no connection's count before it is made, and those after the end in none at all.
    assert!(by_flow <= retransmitted, "{by_flow} of {retransmitted}");
    assert!(
        by_flow * 10 >= retransmitted * 9,
        "{by_flow} of {retransmitted}"
    );
    for end in [&wire.near, &wire.far] {
        let path = end.cgroup.path();
        let sums = sums(log.of(&path).filter(|flow| flow.transport == "tcp"));
        assert_eq!(
            (sums.flows, sums.bytes_fwd, sums.bytes_rev),
            (21, 20 * 20_000 + bulk, 21 * 3000)
        );
    }
    Ok(())
}

/// Every second FIN is lost, and the kernel asks by a probe whether its tail has come.
#[test]
fn tail_loss_probes_are_as_many_as_the_kernel_says() -> Result<()> {
    const CONNECTIONS: u64 = 12;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    let rule = "tcp flags & fin == fin numgen inc mod 2 0";
    if unless_available("nftables", far.drop_incoming(rule)).is_none() {
        return Ok(());
    }
    let site = watched
        .wire
        .serve(&format!("site --port {PORT} --answer 300"))?;
    watched.wire.run(&format!(
        "visit --to {FAR} --port {PORT} --connections {CONNECTIONS} --send 2000"
    ))?;
    site.close()?;
    let probes = near.nstat("TcpExtTCPLossProbes")?;
    assert!(probes > 0, "no tail was lost");
    let retransmits = "nodeprobe_tcp_retransmits_total";
    let others = near.nstat("TcpRetransSegs")? - probes;
    let expected = [
        (retransmits, ("kind", "loss_probe"), probes),
        (retransmits, ("kind", "data"), others),
    ];
    watched.shows(near, &expected)?;
    watched.log().map(drop)
}

#[test]
fn what_a_connection_sent_again_is_what_ss_says_of_its_socket() -> Result<()> {
    let bulk = work(32 << 20, 2 << 20);
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let Wire { near, far, .. } = &watched.wire;
    if unless_available("ss", program("ss", "iproute2")).is_none() {
        return Ok(());
    }
    if unless_available("nftables", lose_one_percent(far)).is_none() {
        return Ok(());
    }
    let site = watched.wire.serve(&format!("site --port {PORT}"))?;
    let visit = watched.wire.ready(&format!(
        "visit --to {FAR} --port {PORT} --bulk {bulk} --keep"
    ))?;
    visit.work()?;
    let sockets = || {
        let options = format!("-tinH state established dst {FAR}");
        near.netns.run("ss", "iproute2", &options)
    };
    // The one of the handshake is counted as well.
    let all = format!("bytes_acked:{} ", bulk + 1);
    let shown = poll(LONG, "all to be acknowledged", || {
        sockets().ok().filter(|shown| shown.contains(&all))
    })?;
    // Now and in all, such as `retrans:0/127`.
    let again = shown
        .split_whitespace()
        .find_map(|word| word.strip_prefix("retrans:")?.split_once('/'))
        .map(|(_, all)| all.parse::<u64>());
    let again = again.with_context(|| format!("nothing was lost: {shown}"))??;
    // What ends it is not to be sent again as well.
    lose_nothing(far)?;
    visit.finish()?;
    site.close()?;
    let (log, wire) = watched.log()?;
    let path = wire.near.cgroup.path();
    let ended: Vec<_> = ends(&log, &path).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].bytes_fwd_total, bulk);
    assert_eq!(ended[0].tcp_retransmits_total, Some(again), "{shown}");
    Ok(())
}

#[test]
fn look_ups_that_nobody_answers_and_names_that_nobody_has_are_counted_apart() -> Result<()> {
    const LOOKUPS: &str = "nodeprobe_dns_lookups_total";
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let wire = &watched.wire;
    let server = wire.serve(&format!("name-server --host {FAR} --port 53 --packets 25"))?;
    wire.run(&format!("look-up --host {FAR} --port 53 --packets 25"))?;
    server.finish()?;
    let Some(()) = unless_available("nftables", wire.far.drop_incoming("udp dport 53")) else {
        return Ok(());
    };
    wire.run(&format!("ask-in-vain --host {FAR} --port 53 --packets 7"))?;
    watched.shows(
        &wire.near,
        &[
            (LOOKUPS, ("rcode", "NXDOMAIN"), 25),
            (LOOKUPS, ("rcode", "~timeout"), 7),
            (LOOKUPS, ("", ""), 32),
        ],
    )?;
    watched.shows(&wire.far, &[(LOOKUPS, ("", ""), 0)])?;
    watched.log().map(drop)
}
