//! Name look-ups: each one counts once, whatever its segments, its answer and its neighbours.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::{Agent, Tool, command},
    scrape::Scrape,
    skip::{skip, unless_available},
    wait::LONG,
    wire::{FAR, Wire},
    workload::Workload,
};

const LOOKUPS: &str = "nodeprobe_dns_lookups_total";
/// Nobody has this address.
const NOBODY: &str = "10.77.0.9";

/// A wire, and a tool and an agent that watch its near end; `None` after saying why where something cannot be had.
fn watched() -> Result<Option<(Wire, Tool, Agent)>> {
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(None);
    };
    let near = wire.near.cgroup.path();
    let tool = match Tool::attach_as(
        &format!("dns --duration 300s --cgroup {near} -o json"),
        command(),
    ) {
        Ok(tool) => tool,
        Err(error) if format!("{error:#}").contains("nodeprobe doctor") => {
            skip("network", &format!("{error:#}"));
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let agent = Agent::start("[flows]\nsweep = \"1s\"\n")?;
    Ok(Some((wire, tool, agent)))
}

/// The only row of a report.
fn row(tool: Tool) -> Result<Value> {
    let text = tool.end()?;
    let report: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let rows = report["rows"].as_array().context("there are rows")?;
    assert_eq!(rows.len(), 1, "{text}");
    Ok(rows[0].clone())
}

/// Look-ups of a cgroup by response code.
fn counted(scrape: &Scrape, cgroup: &Cgroup, rcode: &str) -> u64 {
    let path = cgroup.path();
    scrape.sum(LOOKUPS, &[("container", &path), ("rcode", rcode)]) as u64
}

#[test]
fn look_ups_over_tcp_count_once_whatever_their_segments() -> Result<()> {
    const EACH: u64 = 20;
    const STYLES: [&str; 3] = ["whole", "split", "together"];
    let _alone = alone();
    let Some((wire, tool, agent)) = watched()? else {
        return Ok(());
    };
    for style in STYLES {
        let args = format!("--host {FAR} --port 53 --packets {EACH} --style {style}");
        let server = wire.serve(&format!("name-server-tcp {args}"))?;
        wire.run(&format!("look-up-tcp {args}"))?;
        server.finish()?;
    }
    let all = EACH * STYLES.len() as u64;
    let near = &wire.near.cgroup;
    let scrape = agent.scrape_until(LONG, |it| counted(it, near, "NXDOMAIN") == all)?;
    assert_eq!(counted(&scrape, near, "NXDOMAIN"), all);
    assert_eq!(counted(&scrape, near, "~timeout"), 0);
    let timed = scrape.sum(
        "nodeprobe_dns_lookup_duration_seconds_count",
        &[("container", &near.path())],
    );
    assert_eq!(timed as u64, all);
    let row = row(tool)?;
    assert_eq!(
        (&row["lookups"], &row["timeouts"], &row["pending"]),
        (&all.into(), &0.into(), &0.into()),
        "{row}"
    );
    assert_eq!(row["rcodes"]["NXDOMAIN"], all, "{row}");
    assert_eq!(row["latency"]["count"], all, "{row}");
    Ok(())
}

#[test]
fn a_look_up_counts_when_it_is_asked_and_nobody_answering_is_a_failure() -> Result<()> {
    const ASKED: u64 = 7;
    let _alone = alone();
    let Some((wire, tool, agent)) = watched()? else {
        return Ok(());
    };
    wire.run(&format!(
        "ask-in-vain --host {NOBODY} --port 53 --packets {ASKED}"
    ))?;
    let early = row(tool)?;
    assert_eq!(
        (&early["lookups"], &early["timeouts"], &early["pending"]),
        (&ASKED.into(), &0.into(), &ASKED.into()),
        "{early}"
    );
    let near = &wire.near.cgroup;
    let scrape = agent.scrape_until(LONG, |it| counted(it, near, "~timeout") == ASKED)?;
    assert_eq!(counted(&scrape, near, "~timeout"), ASKED);
    Ok(())
}

#[test]
fn a_flood_of_questions_hides_no_look_ups_of_others() -> Result<()> {
    const OWN: u64 = 150;
    const FLOODS: u64 = 4;
    const EACH: u64 = 30_000;
    let _alone = alone();
    let Some((wire, tool, agent)) = watched()? else {
        return Ok(());
    };
    let flood = Cgroup::new("flood")?;
    let workload = Workload::new()?;
    let near = &wire.near.cgroup;
    let floods = (0..FLOODS).map(|_| {
        let command = wire.near.netns.within(flood.command(workload.path()));
        let args = format!("ask-in-vain --host {NOBODY} --port 53 --packets {EACH}");
        workload.start_as(command, &args)
    });
    let floods = floods.collect::<Result<Vec<_>>>()?;
    let args = format!("--host {FAR} --port 53 --packets {OWN}");
    let server = wire.serve(&format!("name-server {args}"))?;
    wire.run(&format!("look-up {args}"))?;
    server.finish()?;
    for flood in floods {
        flood.result()?;
    }
    // Again, while the table has all that it takes of the flood; but not more in one reading of the ring than one container's share.
    std::thread::sleep(Duration::from_millis(500));
    let server = wire.serve(&format!("name-server {args}"))?;
    wire.run(&format!("look-up {args}"))?;
    server.finish()?;
    let scrape = agent.scrape_until(LONG, |it| counted(it, near, "NXDOMAIN") == 2 * OWN)?;
    assert_eq!(counted(&scrape, near, "NXDOMAIN"), 2 * OWN);
    assert_eq!(counted(&scrape, near, "~timeout"), 0);
    let row = row(tool)?;
    assert_eq!(
        (&row["lookups"], &row["timeouts"], &row["pending"]),
        (&(2 * OWN).into(), &0.into(), &0.into()),
        "{row}"
    );
    assert_eq!(row["rcodes"]["NXDOMAIN"], 2 * OWN, "{row}");
    // What found no room is counted, and the rest was not answered.
    let all = FLOODS * EACH;
    let known = |it: &Scrape| {
        let labels = [("reason", "pending_full")];
        counted(it, &flood, "~timeout") + it.sum("nodeprobe_records_lost_total", &labels) as u64
    };
    let scrape = agent.scrape_until(LONG, |it| known(it) == all)?;
    assert_eq!(known(&scrape), all);
    assert!(counted(&scrape, &flood, "~timeout") > 5_000);
    Ok(())
}
