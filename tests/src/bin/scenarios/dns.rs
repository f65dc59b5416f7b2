//! A name server that is slow, one that is gone, and a container that asks without end.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tests::{
    cgroup::Cgroup,
    skip::program,
    wait::{LONG, poll},
    wire::{End, FAR, Wire},
};

use crate::{
    rig::{self, Running, rows, sum, within_share},
    scenario::{Finding, Scenario},
};

pub(crate) const SLOW: Scenario = Scenario {
    name: "slow-dns",
    question: "how long do name look-ups of my service take?",
    expected_failure: None,
    run: slow,
};

pub(crate) const DEAD: Scenario = Scenario {
    name: "dead-dns",
    question: "is DNS dead?",
    expected_failure: None,
    run: dead,
};

pub(crate) const FLOOD: Scenario = Scenario {
    name: "dns-flood",
    question: "what does my service look up, beside a container that floods the name server?",
    expected_failure: None,
    run: flood,
};

/// A name that the server knows.
const NAME: &str = "db.example.test";
/// Another address of the far end, whose name server is dead.
const DEAD_SERVER: &str = "10.77.0.3";

/// A command in the network namespace and cgroup of an end.
fn at(end: &End, name: &str, package: &str, args: &str) -> Result<Command> {
    Ok(end
        .netns
        .within(rig::within(&end.cgroup, name, package, args)?))
}

/// `dnsmasq` at the far end, once it answers. It logs each query to its standard output.
fn server(wire: &Wire) -> Result<Running> {
    let args = format!(
        "--keep-in-foreground --no-resolv --no-hosts --pid-file= --user=root --bind-interfaces --listen-address={FAR} \
         --address=/{NAME}/10.1.2.3 --log-queries --log-facility=/dev/stdout --conf-file=/dev/null"
    );
    let running = Running::start(&mut at(&wire.far, "dnsmasq", "dnsmasq-base", &args)?)?;
    poll(LONG, "dnsmasq to answer", || {
        // Outside the cgroup that is watched.
        let mut dig = wire
            .near
            .netns
            .within(Command::new(program("dig", "bind9-dnsutils").ok()?));
        dig.args([
            &format!("@{FAR}"),
            "+tries=1",
            "+time=1",
            "ready.example.test",
        ]);
        let (text, _) = rig::run_any(&mut dig).ok()?;
        text.contains("status: ").then_some(())
    })?;
    Ok(running)
}

/// Asks once by `dig` at the near end, and returns what it printed.
fn ask(wire: &Wire, server: &str) -> Result<String> {
    let args = format!("@{server} +tries=1 +time=3 {NAME} A");
    let (text, _) = rig::run_any(&mut at(&wire.near, "dig", "bind9-dnsutils", &args)?)?;
    Ok(text)
}

/// The server is stopped for a third of a second after each question.
fn slow() -> Result<Finding> {
    const LOOKUPS: u32 = 8;
    let wire = Wire::new()?;
    let server = server(&wire)?;
    let pid = Pid::from_raw(server.pid()).context("a process id")?;
    let near = wire.near.cgroup.path();
    let tool = rig::attach(&format!("dns --duration 300s --cgroup {near}"))?;
    let mut truth = 0.0;
    for _ in 0..LOOKUPS {
        kill_process(pid, Signal::STOP)?;
        let args = format!("@{FAR} +tries=1 +time=10 {NAME} A");
        let dig = Running::start(&mut at(&wire.near, "dig", "bind9-dnsutils", &args)?)?;
        std::thread::sleep(Duration::from_millis(330));
        kill_process(pid, Signal::CONT)?;
        truth += rig::number_after(&dig.output()?, "Query time: ")? / 1000.0;
    }
    let rows = rows(tool)?;
    let said: f64 = rows
        .iter()
        .filter_map(|row| Some(row["latency"]["sum_ns"].as_f64()? / 1e9))
        .sum();
    let lookups = sum(&rows, "lookups");
    let mean = |sum: f64| sum / f64::from(LOOKUPS) * 1000.0;
    Ok(Finding {
        nodeprobe: format!("{lookups} look-ups, mean {:.0} ms", mean(said)),
        oracle: format!("dig: {LOOKUPS} look-ups, mean {:.0} ms", mean(truth)),
        agrees: lookups == u64::from(LOOKUPS) && within_share(0.1, said, truth),
    })
}

/// What is sent to the server does not arrive, and the tool ends before the last client gives up.
fn dead() -> Result<Finding> {
    const LOOKUPS: usize = 7;
    let wire = Wire::new()?;
    wire.far.drop_incoming("udp dport 53")?;
    let near = wire.near.cgroup.path();
    let tool = rig::attach(&format!("dns --duration 300s --cgroup {near}"))?;
    let args = format!("@{FAR} +tries=1 +time=2 {NAME} A");
    let clients = (0..LOOKUPS)
        .map(|_| Running::start(&mut at(&wire.near, "dig", "bind9-dnsutils", &args)?))
        .collect::<Result<Vec<_>>>()?;
    let mut timed_out = 0;
    for client in clients {
        let text = client.output()?;
        timed_out +=
            usize::from(text.contains("timed out") || text.contains("no servers could be reached"));
    }
    let rows = rows(tool)?;
    let (lookups, timeouts) = (sum(&rows, "lookups"), sum(&rows, "timeouts"));
    let pending = sum(&rows, "pending");
    Ok(Finding {
        nodeprobe: format!("{lookups} look-ups: {timeouts} timed out, {pending} not answered yet"),
        oracle: format!("dig: {timed_out} of {LOOKUPS} timed out"),
        agrees: lookups == LOOKUPS as u64 && timeouts + pending == lookups && timed_out == LOOKUPS,
    })
}

/// `dnsperf` sends thousands of questions a second to a dead server, from a container of its own.
fn flood() -> Result<Finding> {
    const LOOKUPS: usize = 100;
    let wire = Wire::new()?;
    wire.far
        .netns
        .ip(&format!("address add {DEAD_SERVER}/24 dev eth0"))?;
    wire.far
        .drop_incoming(&format!("ip daddr {DEAD_SERVER} udp dport 53"))?;
    let server = server(&wire)?;
    let folder = tempfile::tempdir()?;
    let questions = folder.path().join("questions");
    let lines: String = (0..5000)
        .map(|number| format!("host-{number}.example.test A\n"))
        .collect();
    std::fs::write(&questions, lines)?;
    let flooding = Cgroup::new("flood")?;
    let args = format!(
        "-s {DEAD_SERVER} -d {} -l 60 -Q 12000 -q 60000 -t 1",
        questions.display()
    );
    let mut command = wire
        .near
        .netns
        .within(rig::within(&flooding, "dnsperf", "dnsperf", &args)?);
    let near = wire.near.cgroup.path();
    let tool = rig::attach(&format!("dns --duration 300s --cgroup {near}"))?;
    let flood = Running::start(&mut command)?;
    rig::for_a_while(2);
    let mut answered = 0;
    for _ in 0..LOOKUPS {
        answered += usize::from(ask(&wire, FAR)?.contains("status: NOERROR"));
    }
    let sent = tests::netns::Netns::clone(&wire.near.netns).run(
        "nstat",
        "iproute2",
        "-asz UdpOutDatagrams",
    )?;
    drop(flood);
    let rows = rows(tool)?;
    let lookups = sum(&rows, "lookups");
    let good: u64 = rows
        .iter()
        .filter_map(|row| row["rcodes"]["NOERROR"].as_u64())
        .sum();
    kill_process(
        Pid::from_raw(server.pid()).context("a process id")?,
        Signal::TERM,
    )?;
    let logged = server
        .output()?
        .lines()
        .filter(|line| line.contains("query[A]") && line.contains(NAME))
        .count();
    let datagrams = rig::number_after(&sent, "UdpOutDatagrams")?;
    Ok(Finding {
        nodeprobe: format!("{lookups} look-ups, {good} NOERROR"),
        oracle: format!(
            "dnsmasq logged {logged} queries and dig had {answered} answers, beside {datagrams} datagrams"
        ),
        agrees: lookups == LOOKUPS as u64
            && good == lookups
            && logged == LOOKUPS
            && answered == LOOKUPS
            && datagrams > 10_000.0,
    })
}
