//! A server that is too busy to accept.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use tests::{
    wait::{LONG, poll},
    wire::{FAR, Wire},
};

use crate::{
    rig::{self, Running, rows, sum},
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "accept-queue",
    question: "why do clients of my server time out?",
    expected_failure: None,
    run,
};

/// `iperf3` is stopped while `bash` connects to it again and again.
fn run() -> Result<Finding> {
    let wire = Wire::new()?;
    let (near, far) = (&wire.near, &wire.far);
    // iperf3 asks for as long a queue as it can get.
    far.netns.set("core/somaxconn", "4")?;
    let mut server = far
        .netns
        .within(rig::within(&far.cgroup, "iperf3", "iperf3", "-s")?);
    let server = Running::start(&mut server)?;
    poll(LONG, "iperf3 to listen", || {
        let listening = far
            .netns
            .run("ss", "iproute2", "-tlnH sport = :5201")
            .ok()?;
        (!listening.trim().is_empty()).then_some(())
    })?;
    let tool = rig::attach(&format!(
        "tcp --duration 300s --cgroup {}",
        far.cgroup.path()
    ))?;
    kill_process(
        Pid::from_raw(server.pid()).context("a process id")?,
        Signal::STOP,
    )?;
    let clients = (0..14)
        .map(|_| {
            let mut client = near.netns.within(near.cgroup.command("/bin/bash"));
            let connect = format!("exec 3<>/dev/tcp/{FAR}/5201; sleep 4");
            Running::start(client.args(["-c", &connect]))
        })
        .collect::<Result<Vec<_>>>()?;
    rig::for_a_while(4);
    drop(clients);
    // Read until it stands still: clients that were killed send nothing more.
    let mut truth = far.nstat("TcpExtListenDrops")?;
    poll(LONG, "the counter to stand still", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = far.nstat("TcpExtListenDrops").ok()?;
        let still = now == truth;
        truth = now;
        still.then_some(())
    })?;
    let rows = rows(tool)?;
    let said = sum(&rows, "listen_drops");
    Ok(Finding {
        nodeprobe: format!("{said} handshakes dropped by a listener"),
        oracle: format!("nstat: TcpExtListenDrops {truth}"),
        agrees: truth > 0 && said == truth,
    })
}
