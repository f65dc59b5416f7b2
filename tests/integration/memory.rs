//! Memory of the agent after a burst.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tests::{
    lock::alone,
    nodeprobe::Agent,
    skip::{Unavailable, unless_available},
    wait::{LONG, poll},
};

/// Flows of the burst: those of a busy DNS server within a minute.
const FLOWS: u32 = 300_000;

/// Memory that belongs to the process alone, in MiB: without the program and the kernel's maps.
fn resident(agent: &Agent) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib.context("no RssAnon")?.parse()?;
    Ok(kib / 1024)
}

/// Whether the burst fits into the memory of this machine.
fn enough_memory() -> Result<()> {
    const NEEDED_MIB: u64 = 2048;
    let info = fs::read_to_string("/proc/meminfo")?;
    let line = info.lines().find(|line| line.starts_with("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let mib = kib.context("no MemAvailable")?.parse::<u64>()? / 1024;
    if mib < NEEDED_MIB {
        return Err(Unavailable(format!("{mib} MiB available of {NEEDED_MIB}")).into());
    }
    Ok(())
}

#[test]
fn memory_of_a_burst_of_flows_comes_back_after_it() -> Result<()> {
    let _alone = alone();
    if unless_available("memory", enough_memory()).is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let agent = Agent::start(&format!(
        "collect_interval = \"5s\"\nflows.log = \"{}\"\nflows.idle = \"5s\"\nlimits.flows = 1048576\n",
        folder.path().join("flows").display()
    ))?;
    let idle = resident(&agent)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    for flow in 0..FLOWS {
        let [_, high, middle, low] = flow.to_be_bytes();
        // Nobody listens there; that is an error of the next call, which is a datagram as well.
        _ = socket.send_to(b"x", (Ipv4Addr::new(127, 1 + high, middle, low), 9));
    }
    let peak = std::cell::Cell::new(idle);
    let grown = poll(LONG, "the burst in the agent's memory", || {
        let now = resident(&agent).ok()?;
        peak.set(peak.get().max(now));
        (now >= idle + 48).then_some(())
    });
    grown.with_context(|| format!("from {idle} MiB to {} MiB", peak.get()))?;
    // The flows end after five seconds, and free memory is returned twice a minute.
    let back = poll(Duration::from_secs(180), "the memory to come back", || {
        let now = resident(&agent).ok()?;
        peak.set(peak.get().max(now));
        let grown = peak.get() - idle;
        (now <= idle + grown / 4).then_some(now)
    });
    let back = back.with_context(|| {
        let now = resident(&agent).unwrap_or_default();
        format!(
            "{idle} MiB idle, {} MiB at the peak, {now} MiB now",
            peak.get()
        )
    })?;
    eprintln!(
        "{idle} MiB idle, {} MiB at the peak, {back} MiB afterwards",
        peak.get()
    );
    Ok(())
}
