//! Sockets that are shared, handed over, talk to many or live for a millisecond.

use std::{collections::HashSet, process::Command};

use anyhow::Result;
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    flowlog::{Sums, sums},
    scale::work,
    wire::FAR,
    workload::{Running, Workload},
};

use crate::faults::Watched;

const PORT: u16 = 7000;

/// Three processes in three cgroups share a port: each connection counts for the cgroup that accepted it.
#[test]
fn a_shared_port_counts_for_whoever_the_kernel_gives_the_connection() -> Result<()> {
    const CONNECTIONS: u64 = 300;
    const SENT: u64 = 500;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let netns = watched.wire.near.netns.clone();
    let within = |cgroup: &Cgroup| -> Command { netns.within(cgroup.command(workload.path())) };
    let cgroups = [
        Cgroup::new("share-a")?,
        Cgroup::new("share-b")?,
        Cgroup::new("share-c")?,
    ];
    let servers = cgroups
        .iter()
        .map(|it| workload.ready_as(within(it), &format!("share --port {PORT}")))
        .collect::<Result<Vec<_>>>()?;
    servers.iter().try_for_each(|it| it.task.go())?;
    watched.wire.run(&format!(
        "connect --port {PORT} --connections {CONNECTIONS} --send {SENT}"
    ))?;
    let said = servers
        .into_iter()
        .map(Running::close)
        .collect::<Result<Vec<Value>>>()?;
    let (log, _wire) = watched.log()?;
    let mut all = 0;
    for (cgroup, said) in cgroups.iter().zip(said) {
        let sums = sums(log.of(&cgroup.path()));
        assert_eq!(Value::from(sums.flows), said["connections"]);
        assert_eq!(sums.bytes_fwd, sums.flows * SENT);
        assert!(sums.flows > 0, "the kernel spreads them: {said}");
        all += sums.flows;
    }
    assert_eq!(all, CONNECTIONS);
    Ok(())
}

/// A child in another cgroup writes to its parent's connection: the socket is the parent's.
#[test]
fn a_socket_that_is_handed_over_stays_with_who_made_it() -> Result<()> {
    const SENT: u64 = 100_000;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let child = Cgroup::new("child")?;
    let site = watched
        .wire
        .serve(&format!("site --port {PORT} --answer 0"))?;
    watched.wire.run(&format!(
        "hand-over --host {FAR} --port {PORT} --procs {}/cgroup.procs --send {SENT}",
        child.folder().display()
    ))?;
    site.close()?;
    let (log, wire) = watched.log()?;
    let near = wire.near.cgroup.path();
    let tcp = |path: &str| sums(log.of(path).filter(|flow| flow.transport == "tcp"));
    assert_eq!((tcp(&near).flows, tcp(&near).bytes_fwd), (1, SENT));
    assert_eq!(tcp(&child.path()), Sums::default());
    Ok(())
}

/// A server that listens in one cgroup and accepts in another, as with sockets that an init system opens: its connections belong to
/// where the socket was made, which is less sure than usual.
#[test]
fn a_connection_that_is_accepted_elsewhere_is_only_likely_its_makers() -> Result<()> {
    const CONNECTIONS: u64 = 3;
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let elsewhere = Cgroup::new("elsewhere")?;
    let server = watched.wire.serve(&format!(
        "serve --host {FAR} --port {PORT} --connections {CONNECTIONS} --procs {}/cgroup.procs",
        elsewhere.folder().display()
    ))?;
    watched.wire.run(&format!(
        "connect --host {FAR} --port {PORT} --connections {CONNECTIONS} --send 10"
    ))?;
    server.finish()?;
    let (log, wire) = watched.log()?;
    let far = wire.far.cgroup.path();
    let of_server = || log.of(&far).filter(|flow| flow.direction == "ingress");
    let ended: Vec<_> = of_server().filter(|flow| flow.event == "end").collect();
    assert_eq!(ended.len() as u64, CONNECTIONS);
    for flow in ended {
        if flow.dst_process.is_none() {
            tests::skip::skip("processes", "this kernel does not tell who accepts");
            return Ok(());
        }
        assert_eq!(flow.dst_confidence.as_deref(), Some("likely"), "{flow:?}");
        assert_eq!(flow.src_confidence.as_deref(), Some("exact"), "{flow:?}");
    }
    Ok(())
}

/// One socket that is connected to nobody has a flow with each peer, whose ids differ.
#[test]
fn a_socket_without_a_peer_has_a_flow_with_each() -> Result<()> {
    let (peers, packets) = (work(1000, 100), 5);
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let workload = Workload::new()?;
    let there = Cgroup::new("gather")?;
    let netns = &watched.wire.near.netns;
    let gather = workload.ready_as(
        netns.within(there.command(workload.path())),
        &format!("gather --port {PORT}"),
    )?;
    gather.task.go()?;
    watched.wire.run(&format!(
        "scatter --port {PORT} --peers {peers} --packets {packets} --bytes 64"
    ))?;
    gather.close()?;
    let (log, wire) = watched.log()?;
    for path in [wire.near.cgroup.path(), there.path()] {
        let udp = || log.of(&path).filter(|flow| flow.transport == "udp");
        assert_eq!(
            sums(udp()),
            Sums {
                flows: peers,
                bytes_fwd: peers * packets * 64,
                packets_fwd: peers * packets,
                ..Sums::default()
            },
            "{path}"
        );
        let ids: HashSet<_> = udp().map(|flow| flow.flow_id).collect();
        assert_eq!(ids.len() as u64, peers, "{path}");
    }
    Ok(())
}

/// Connections of a millisecond, up to 5,000 a second: none is missed.
#[test]
fn a_burst_of_short_connections_is_whole() -> Result<()> {
    const SENT: u64 = 100;
    let (connections, rate) = (work(15_000, 300), work(5000, 100));
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let site = watched
        .wire
        .serve(&format!("site --port {PORT} --answer 0"))?;
    let said = watched.wire.run(&format!(
        "burst --host {FAR} --port {PORT} --connections {connections} --per-second {rate} --send {SENT}"
    ))?;
    eprintln!("burst: {said}");
    site.close()?;
    let (log, wire) = watched.log()?;
    for end in [&wire.near, &wire.far] {
        let path = end.cgroup.path();
        let sums = sums(log.of(&path).filter(|flow| flow.transport == "tcp"));
        assert_eq!(
            (sums.flows, sums.bytes_fwd, sums.bytes_rev),
            (connections, connections * SENT, 0)
        );
    }
    Ok(())
}
