//! A link that loses one packet in a hundred.

use anyhow::Result;
use tests::{
    wait::{LONG, poll},
    wire::{FAR, Wire},
};

use crate::{
    rig::{self, Running, rows, sum},
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "lossy-link",
    question: "does the network lose packets of my service?",
    expected_failure: None,
    run,
};

/// `iperf3` sends over a link whose filter drops one segment in a hundred.
fn run() -> Result<Finding> {
    let wire = Wire::new()?;
    let (near, far) = (&wire.near, &wire.far);
    let mut server = far
        .netns
        .within(rig::within(&far.cgroup, "iperf3", "iperf3", "-s -1")?);
    let server = Running::start(&mut server)?;
    poll(LONG, "iperf3 to listen", || {
        let listening = far
            .netns
            .run("ss", "iproute2", "-tlnH sport = :5201")
            .ok()?;
        (!listening.trim().is_empty()).then_some(())
    })?;
    far.drop_incoming("meta l4proto tcp numgen random mod 100 < 1")?;
    let tool = rig::attach(&format!(
        "tcp --duration 300s --cgroup {}",
        near.cgroup.path()
    ))?;
    let client = format!("-c {FAR} -n 48M --json");
    let client = near
        .netns
        .within(rig::within(&near.cgroup, "iperf3", "iperf3", &client)?);
    let report = {
        let mut client = client;
        Running::start(&mut client)?.output()?
    };
    server.output()?;
    let truth = near.nstat("TcpRetransSegs")?;
    let rows = rows(tool)?;
    let said = ["retransmits_syn", "retransmits_data", "retransmits_probe"]
        .iter()
        .map(|field| sum(&rows, field))
        .sum::<u64>();
    let report: serde_json::Value = serde_json::from_str(&report)?;
    let program = report["end"]["sum_sent"]["retransmits"]
        .as_u64()
        .unwrap_or_default();
    Ok(Finding {
        nodeprobe: format!("{said} segments sent again"),
        oracle: format!("nstat: TcpRetransSegs {truth}; iperf3: {program} of its data connection"),
        agrees: truth > 10 && said == truth,
    })
}
