//! Flows, connections and name look-ups, followed by the library itself and compared with a workload of known size.

mod health;
mod interrupts;
mod rig;

use std::{collections::HashSet, time::Instant};

use anyhow::{Context as _, Result};
use probe_common::tcp::{CLIENT, Connection};
use probe_user::{
    flows::{Event, Sureness},
    model::{EndReason, Initiator, OwnerId, Transport},
    session::FlowReport,
};
use tests::{
    cgroup::Cgroup,
    exempt::Missing,
    lock::alone,
    nodeprobe::free_port,
    skip::{skip, unless_available},
    wait::{LONG, poll},
    workload::Workload,
};

use self::rig::{Network, cgroups, id, tcp_row};

/// Connections between two cgroups: all of them, once at each end, with every byte.
fn connections_are_exact(v6: &str) -> Result<()> {
    const CONNECTIONS: usize = 500;
    let _alone = alone();
    let Some([server, client]) = cgroups(["server", "client"])? else {
        return Ok(());
    };
    let Some(mut network) = Network::start(&["tcp"])? else {
        return Ok(());
    };
    let port = free_port()?.port();
    let workload = Workload::new()?;
    let serving = workload.ready(
        &server,
        &format!("serve --port {port} --connections {CONNECTIONS} --answer 5000 {v6}"),
    )?;
    serving.task.go()?;
    workload.run(
        &client,
        &format!("connect --port {port} --connections {CONNECTIONS} --send 20000 {v6}"),
    )?;
    network.until("the ends of all connections", |network| {
        network.ended(&client).len() >= CONNECTIONS && network.ended(&server).len() >= CONNECTIONS
    })?;
    network.finish();
    assert_eq!(network.ended(&client).len(), CONNECTIONS);
    assert_eq!(network.ended(&server).len(), CONNECTIONS);
    let ids: HashSet<_> = network.flows.iter().map(|report| report.flow.id).collect();
    assert!(
        ids.len() >= 2 * CONNECTIONS,
        "every flow has an id of its own"
    );
    for report in network.ended(&client) {
        let flow = &report.flow;
        assert_eq!(flow.initiator, Initiator::Local, "{flow:?}");
        assert_eq!(
            (flow.counters.bytes_sent, flow.counters.bytes_received),
            (20_000, 5_000),
            "{flow:?}"
        );
        assert_eq!(flow.end.map(|end| end.reason), Some(EndReason::Fin));
        assert_eq!(flow.tuple.remote_port, port);
        assert_ne!(flow.tuple.local_port, 0);
        let tcp = flow.tcp.context("it is a connection")?;
        assert!(tcp.handshake.is_some(), "{flow:?}");
        assert_eq!(tcp.closed_by, Some(Initiator::Local));
        assert_eq!(
            flow.process.as_ref().map(|process| process.comm.as_str()),
            Some("workload")
        );
        let peer = report.peer.context("the other end is on this host")?;
        assert_eq!(
            (peer.cgroup.0, peer.sureness),
            (id(&server), Sureness::Exact)
        );
        assert_eq!(peer.nat, None);
    }
    for report in network.ended(&server) {
        let flow = &report.flow;
        assert_eq!(flow.initiator, Initiator::Remote, "{flow:?}");
        assert_eq!(
            (flow.counters.bytes_sent, flow.counters.bytes_received),
            (5_000, 20_000),
            "{flow:?}"
        );
        assert_eq!(report.peer.map(|peer| peer.cgroup.0), Some(id(&client)));
    }
    let sums = network.sums(&client, Transport::TCP);
    assert_eq!(sums.intervals, sums.totals, "intervals add up to totals");
    let measurements = network.session.measure();
    let totals = tcp_row(&measurements, &client);
    assert_eq!(
        (totals.attempts, totals.connected),
        (CONNECTIONS as u64, CONNECTIONS as u64)
    );
    assert_eq!(totals.connect.count(), CONNECTIONS as u64);
    let totals = tcp_row(&measurements, &server);
    assert_eq!((totals.accepted, totals.attempts), (CONNECTIONS as u64, 0));
    assert_eq!(network.lost(), Vec::<String>::new());
    Ok(())
}

#[test]
fn connections_between_two_cgroups_are_exact_at_both_ends() -> Result<()> {
    connections_are_exact("")
}

#[test]
fn connections_over_ipv6_are_exact_too() -> Result<()> {
    connections_are_exact("--v6")
}

#[test]
fn refused_connections_are_counted_by_their_reason() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("refused")) else {
        return Ok(());
    };
    let Some(mut network) = Network::start(&["tcp"])? else {
        return Ok(());
    };
    let port = free_port()?.port();
    Workload::new()?.run(&cgroup, &format!("refused --port {port} --connections 50"))?;
    network.until("the ends of all attempts", |network| {
        network.ended(&cgroup).len() >= 50
    })?;
    for report in network.ended(&cgroup) {
        assert_eq!(
            report.flow.end.map(|end| end.reason),
            Some(EndReason::Refused)
        );
        assert_ne!(report.flow.tuple.local_port, 0, "{:?}", report.flow);
    }
    let totals = tcp_row(&network.session.measure(), &cgroup);
    assert_eq!(totals.failed[probe_common::tcp::FAILED_REFUSED], 50);
    assert_eq!((totals.attempts, totals.connected), (50, 0));
    Ok(())
}

/// A connection that was there before is taken over, and its counters are whole.
#[test]
fn a_connection_that_was_there_before_is_taken_over() -> Result<()> {
    use std::io::{Read as _, Write as _};

    let _alone = alone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut client = std::net::TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(&[1; 1000])?;
    server.read_exact(&mut [0; 1000])?;
    let Some(mut network) = Network::start(&["tcp"])? else {
        return Ok(());
    };
    let port = client.local_addr()?.port();
    let mine = |report: &&FlowReport| {
        report.flow.tuple.local_port == port && report.flow.tuple.transport == Transport::TCP
    };
    network.until("the connection that was there", |network| {
        network.flows.iter().any(|report| mine(&report))
    })?;
    client.write_all(&[2; 234])?;
    server.read_exact(&mut [0; 234])?;
    drop((client, server));
    network.until("its end", |network| {
        let mut ends = network.flows.iter().filter(mine);
        ends.any(|report| report.event == Event::End)
    })?;
    let last = network.flows.iter().rfind(mine).context("it was seen")?;
    assert!(last.flow.taken_over && last.flow.guessed, "{last:?}");
    assert_eq!(last.flow.initiator, Initiator::Local);
    assert_eq!(last.flow.counters.bytes_sent, 1234, "{last:?}");
    Ok(())
}

/// The end of a connection may be missed, and the kernel gives the memory of its socket to another one.
#[test]
fn what_a_missed_end_leaves_behind_is_charged_to_nobody() -> Result<()> {
    const LEFT: u64 = 10;
    let _alone = alone();
    let Some([server, client]) = cgroups(["serve", "connect"])? else {
        return Ok(());
    };
    let Some(network) = Network::start(&["tcp"])? else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let port = free_port()?.port();
    let serving = workload.ready(&server, &format!("site --port {port}"))?;
    serving.task.go()?;
    let connecting = workload.ready(
        &client,
        &format!("attempts --port {port} --connections {LEFT}"),
    )?;
    connecting.work()?;
    let row = |cgroup| tcp_row(&network.session.measure(), cgroup);
    let lost = |reason: &str| -> u64 {
        let all = network.session.measure().lost;
        let of = all.iter().filter(|it| it.stream == "tcp");
        of.filter(|it| it.reason == reason).map(|it| it.count).sum()
    };
    // Those of other containers of the host are lost here as well.
    let excused = || {
        let missing = Missing {
            skipped: lost("recursion"),
            unseen: 0,
        };
        missing.excuse(LEFT)
    };
    let connected = row(&client).connected;
    assert!(excused()?.matches(LEFT, connected), "{connected}");
    let before = lost("end_missed");
    // As if another socket had been there, whose end no program saw.
    let mut table = table_of_connections()?;
    let mut left = 0;
    for entry in table.keys().collect::<Result<Vec<_>, _>>()? {
        let mut connection = table.get(&entry, 0)?;
        if connection.remote_port == port && connection.flags & CLIENT != 0 {
            connection.cookie += 1 << 40;
            connection.cgroup = id(&server);
            table.insert(entry, connection, 0)?;
            left += 1;
        }
    }
    assert_eq!(left, connected, "entries of the table");
    connecting.finish()?;
    poll(LONG, "the ends of the clients", || {
        (row(&client).closed + lost("recursion") >= LEFT).then_some(())
    })?;
    serving.close()?;
    let closed = [row(&client).closed, row(&server).closed];
    let excused = excused()?;
    for closed in closed {
        assert!(excused.matches(LEFT, closed), "{closed:?}");
    }
    // Connections of the rest of the host may be missed meanwhile.
    let missed = lost("end_missed") - before;
    assert!(missed >= left.min(closed[0]), "{missed} of {left}");
    Ok(())
}

/// The same where no other socket comes in its place.
#[test]
fn a_connection_whose_socket_is_gone_is_forgotten() -> Result<()> {
    // No socket is there.
    const NOWHERE: u64 = 8;
    let _alone = alone();
    let Some(mut network) = Network::start(&["tcp"])? else {
        return Ok(());
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
    let mut table = table_of_connections()?;
    let some = table.keys().next().context("a connection is there")??;
    let left = Connection {
        cookie: 1 << 40,
        flags: CLIENT,
        ..table.get(&some, 0)?
    };
    table.insert(NOWHERE, left, 0)?;
    let before = network.follower.counts().missed_ends;
    network.until("the table to be cleared", |_| {
        table.get(&NOWHERE, 0).is_err()
    })?;
    // Connections of the rest of the host may be missed meanwhile.
    assert!(network.follower.counts().missed_ends > before);
    Ok(())
}

/// The table of the only session on this machine.
fn table_of_connections() -> Result<aya::maps::HashMap<aya::maps::MapData, u64, Connection>> {
    let info = aya::maps::loaded_maps()
        .filter_map(Result::ok)
        .find(|map| map.name_as_str() == Some("CONNECTIONS"))
        .context("no table of connections in the kernel")?;
    let data = aya::maps::MapData::from_id(info.id())?;
    Ok(aya::maps::Map::HashMap(data).try_into()?)
}

/// Datagrams both ways between two cgroups, by unconnected sockets.
fn datagrams_are_exact(v6: &str) -> Result<()> {
    const PACKETS: u64 = 3000;
    let _alone = alone();
    let Some([server, client]) = cgroups(["echo", "ask"])? else {
        return Ok(());
    };
    let Some(mut network) = Network::start(&["flows"])? else {
        return Ok(());
    };
    let port = free_port()?.port();
    let workload = Workload::new()?;
    let echo = workload.ready(
        &server,
        &format!("echo --port {port} --packets {PACKETS} {v6}"),
    )?;
    echo.task.go()?;
    workload.run(
        &client,
        &format!("ask --port {port} --packets {PACKETS} --bytes 1234 {v6}"),
    )?;
    network.poll();
    network.finish();
    for (cgroup, initiator) in [(&client, Initiator::Local), (&server, Initiator::Remote)] {
        let sums = network.sums(cgroup, Transport::UDP);
        assert_eq!(sums.flows, 1, "{sums:?}");
        assert_eq!(sums.totals, sums.intervals);
        assert_eq!(
            (sums.totals.packets_sent, sums.totals.packets_received),
            (PACKETS, PACKETS)
        );
        assert_eq!(
            (sums.totals.bytes_sent, sums.totals.bytes_received),
            (1234 * PACKETS, 1234 * PACKETS)
        );
        let ended = network.ended(cgroup);
        assert_eq!(ended[0].flow.initiator, initiator);
        assert!(ended[0].peer.is_some());
    }
    assert_eq!(network.lost(), Vec::<String>::new());
    let seen = network.session.measure().seen.context("packets are seen")?;
    let counts = network.follower.counts();
    assert!(
        seen.counted >= counts.reported_packets && counts.reported_packets >= 4 * PACKETS,
        "{seen:?} {counts:?}"
    );
    Ok(())
}

#[test]
fn datagrams_between_two_cgroups_are_exact_at_both_ends() -> Result<()> {
    datagrams_are_exact("")
}

#[test]
fn datagrams_over_ipv6_are_exact_too() -> Result<()> {
    datagrams_are_exact("--v6")
}

#[test]
fn look_ups_are_paired_and_counted_by_their_code() -> Result<()> {
    let _alone = alone();
    let Some([server, client]) = cgroups(["names", "asks"])? else {
        return Ok(());
    };
    if let Err(error) = std::net::UdpSocket::bind("127.0.0.1:53") {
        skip("dns", &format!("port 53 is in use here: {error}"));
        return Ok(());
    }
    let Some(mut network) = Network::start(&["flows"])? else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let serving = workload.ready(&server, "name-server --port 53 --packets 40")?;
    serving.task.go()?;
    workload.run(&client, "look-up --port 53 --packets 40")?;
    let asks = id(&client);
    network.until("all look-ups", |network| {
        let mine = network.lookups.iter().filter(|it| it.cgroup.0 == asks);
        mine.count() >= 40
    })?;
    let mine = network.lookups.iter().filter(|it| it.cgroup.0 == asks);
    for lookup in mine {
        assert_eq!(lookup.name, "example.com");
        assert_eq!(lookup.kind, "A");
        assert_eq!(lookup.rcode.as_deref(), Some("NXDOMAIN"));
        assert!(lookup.latency.is_some());
    }
    let measurements = network.session.measure();
    let answers: Vec<_> = measurements
        .answers
        .iter()
        .filter(|row| row.owner == OwnerId(asks))
        .collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!((answers[0].rcode, answers[0].count), (3, 40));
    let served = OwnerId(id(&server));
    assert!(
        measurements.answers.iter().all(|row| row.owner != served),
        "who serves is not counted"
    );
    Ok(())
}

#[test]
fn a_dropped_packet_has_the_kernels_reason() -> Result<()> {
    let _alone = alone();
    let Some(network) = Network::start(&["drops"])? else {
        return Ok(());
    };
    // Nobody listens there.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let port = free_port()?.port();
    let begin = Instant::now();
    loop {
        // Each send answers the error of the one before.
        socket.send_to(b"x", ("127.0.0.1", port)).ok();
        let drops = network.session.measure().drops;
        if drops
            .iter()
            .any(|row| row.reason == "no_socket" && row.packets > 0)
        {
            return Ok(());
        }
        assert!(begin.elapsed() < LONG, "{drops:?}");
    }
}
