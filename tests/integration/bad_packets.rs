//! Packets and messages that make no sense: counted as such, and everything else goes on.

use anyhow::Result;
use tests::{scale::work, scrape::Scrape, wait::LONG, wire::FAR};

use crate::faults::Watched;

const LOST: &str = "nodeprobe_records_lost_total";

#[test]
fn packets_with_wrong_headers_are_counted_and_the_sums_agree() -> Result<()> {
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let malformed =
        |scrape: &Scrape| scrape.sum(LOST, &[("stream", "flows"), ("reason", "malformed")]) as u64;
    let rounds = work(50, 5);
    let said = watched.wire.run(&format!("garbage --rounds {rounds}"))?;
    let expected = said["malformed"].as_u64().unwrap_or_default();
    assert!(expected > 0, "{said}");
    let scrape = watched
        .agent
        .scrape_until(LONG, |scrape| malformed(scrape) >= expected)?;
    assert_eq!(malformed(&scrape), expected);
    let random = work(20_000, 1000);
    watched
        .wire
        .run(&format!("garbage --rounds 0 --random {random}"))?;
    let (log, wire) = watched.read_log()?;
    let balance = log.balanced()?;
    assert!(
        balance.lost["kernel:malformed"] >= expected,
        "{expected}: {balance:?}"
    );
    // Chains of up to three options are followed to the datagram behind.
    let path = wire.near.cgroup.path();
    let datagrams: u64 = log
        .of(&path)
        .filter(|flow| flow.transport == "udp" && flow.dst_port == Some(7000))
        .filter(|flow| flow.ip_version == 6)
        .map(|flow| flow.packets_fwd)
        .sum();
    assert!(datagrams >= 3 * rounds, "{datagrams} in {rounds} rounds");
    Ok(())
}

#[test]
fn name_servers_that_answer_nonsense_harm_nobody() -> Result<()> {
    const LOOKUPS: &str = "nodeprobe_dns_lookups_total";
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let wire = &watched.wire;
    let count = work(800, 80);
    let evil = wire.serve(&format!(
        "evil-names --host {FAR} --port 53 --packets {count}"
    ))?;
    wire.run(&format!("look-up --host {FAR} --port 53 --packets {count}"))?;
    evil.finish()?;
    // What is no message at all, as datagrams and as a stream.
    let site = wire.serve("site --port 53 --answer 300")?;
    wire.run(&format!(
        "visit --to {FAR} --port 53 --connections 50 --send 700 --packets {count} --bytes 90"
    ))?;
    site.close()?;
    let server = wire.serve(&format!("name-server --host {FAR} --port 53 --packets 25"))?;
    wire.run(&format!("look-up --host {FAR} --port 53 --packets 25"))?;
    server.finish()?;
    let path = wire.near.cgroup.path();
    let not_there = |scrape: &Scrape| {
        let labels = [("container", path.as_str()), ("rcode", "NXDOMAIN")];
        scrape.sum(LOOKUPS, &labels) as u64
    };
    let scrape = watched
        .agent
        .scrape_until(LONG, |scrape| not_there(scrape) >= 25)?;
    // Noise can have any code, but an answer is counted once at most.
    assert!(not_there(&scrape) >= 25);
    let all = scrape.sum(LOOKUPS, &[("container", &path)]) as u64;
    assert!(all >= 25 && all <= 2 * count + 25 + 50, "{all}");
    let (log, wire) = watched.read_log()?;
    log.balanced()?;
    let path = wire.near.cgroup.path();
    assert!(log.of(&path).all(|flow| flow.dst_dns_name.is_none()));
    Ok(())
}
