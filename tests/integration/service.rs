//! The unit of systemd: how it is confined, that the agent works so, and what happens after errors.

use std::process::Command;

use anyhow::{Context as _, Result};
use tests::{
    http,
    lock::alone,
    nodeprobe::free_port,
    skip::{program, unless_available},
    systemd::{Systemd, unit},
    wait::{LONG, poll},
};

#[test]
fn systemd_rates_the_exposure_of_the_unit_below_three() {
    let analyze = program("systemd-analyze", "systemd");
    let Some(analyze) = unless_available("systemd", analyze) else {
        return;
    };
    let output = Command::new(analyze)
        // In tenths: anything above is an error.
        .args(["security", "--offline=true", "--threshold=29"])
        .arg(unit())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_probe_works_in_the_confinement_of_the_unit() -> Result<()> {
    let _alone = alone();
    let address = free_port()?;
    let configuration =
        format!("listen = \"{address}\"\nflows.log = \"/var/log/nodeprobe/flows.ndjson\"\n");
    let Some(systemd) = unless_available("systemd", Systemd::start(&configuration, "")) else {
        return Ok(());
    };
    let ready = poll(2 * LONG, "the agent to get ready", || {
        let answer = http::get(address, "/readyz", "*/*").ok()?;
        (answer.status == 200).then(|| answer.text())
    });
    let ready = ready.with_context(|| systemd.said())?;
    // `degraded` is what the kernel does not allow anybody; doctor says the same outside of the unit.
    for probe in ["lifecycle", "syscalls", "scheduler", "flows", "drops"] {
        let on = ready.contains(&format!("{probe}: on\n"));
        assert!(
            on || ready.contains(&format!("{probe}: unsupported")),
            "{ready}"
        );
    }
    let pid = systemd.property("MainPID")?;
    assert_ne!(pid, "0");
    assert_eq!(systemd.property("NRestarts")?, "0");
    assert_eq!(
        systemd.property("CapabilityBoundingSet")?,
        "cap_net_admin cap_sys_admin cap_perfmon cap_bpf"
    );
    assert!(!systemd.said().contains("WARN"), "{}", systemd.said());
    Ok(())
}

#[test]
fn a_wrong_configuration_is_not_tried_again_and_a_port_in_use_is() -> Result<()> {
    let _alone = alone();
    // Refused by the agent's own checks, and by the system.
    for configuration in [
        "limits.series = 0\n",
        "flows.log = \"/nowhere/flows.ndjson\"\n",
        "flows.log = \"/usr/flows.ndjson\"\n",
        "policy.manifests = \"/nowhere\"\n",
    ] {
        let address = free_port()?;
        let configuration = format!("listen = \"{address}\"\n{configuration}");
        let systemd = Systemd::start(&configuration, "");
        let Some(systemd) = unless_available("systemd", systemd) else {
            return Ok(());
        };
        let state = ended(&systemd)?;
        assert_eq!(state, "failed", "{configuration}: {}", systemd.said());
        assert_eq!(
            systemd.property("ExecMainStatus")?,
            "2",
            "{}",
            systemd.said()
        );
    }
    let taken = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let configuration = format!("listen = \"{}\"\n", taken.local_addr()?);
    let systemd = Systemd::start(&configuration, "")?;
    assert_eq!(ended(&systemd)?, "activating", "{}", systemd.said());
    assert_eq!(systemd.property("ExecMainStatus")?, "1");
    Ok(())
}

/// The state of the unit after the agent has ended.
fn ended(systemd: &Systemd) -> Result<String> {
    let state = poll(2 * LONG, "the end of the agent", || {
        let status = systemd.property("ExecMainStatus").ok()?;
        let state = systemd.property("ActiveState").ok()?;
        (status != "0" && state != "active").then_some(state)
    });
    state.with_context(|| systemd.said())
}
