//! What the agent needs with many flows.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{crowd::Crowd, drain::capacity};
use crate::{
    bench::{
        agent::{TEXT, cpu_time, memory, scrape},
        spread::Spread,
    },
    nodeprobe::Agent,
    wait::LONG,
};

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WithFlows {
    /// Share of one CPU while the flows are there, in per cent; a sweep every ten seconds.
    pub cpu: Option<Spread>,
    /// Memory before they are there.
    pub empty_rss_mib: Option<Spread>,
    /// Memory with them.
    pub rss_mib: Option<Spread>,
    /// Time of a scrape without them.
    pub empty_scrape_ms: Option<Spread>,
    /// Time of a scrape with them and a sweep every second.
    pub scrape_ms: Option<Spread>,
}

impl WithFlows {
    /// The slowest scrape with a sweep every second.
    pub fn slowest(&self) -> Option<Spread> {
        Spread::of([self.scrape_ms?.max])
    }
}

/// Measures an agent with its defaults but for the room in its table, and then one that sweeps each second.
pub(super) fn measure(flows: u32, scrapes: usize, window: Duration) -> Result<WithFlows> {
    let mut measured = WithFlows::default();
    {
        let agent = start(flows, "10s")?;
        measured.empty_rss_mib = Spread::of([memory(&agent, "VmRSS")? / 1024.0]);
        let _crowd = Crowd::make(flows)?;
        wait_followed(&agent, flows)?;
        let used = cpu_time(&agent)?;
        thread::sleep(window);
        let used = cpu_time(&agent)?.saturating_sub(used);
        measured.cpu = Spread::of([100.0 * used.div_duration_f64(window)]);
        measured.rss_mib = Spread::of([memory(&agent, "VmRSS")? / 1024.0]);
    }
    let agent = start(flows, "1s")?;
    measured.empty_scrape_ms = scrape(&agent, TEXT, scrapes)?.0;
    let _crowd = Crowd::make(flows)?;
    wait_followed(&agent, flows)?;
    measured.scrape_ms = scrape(&agent, TEXT, 2 * scrapes)?.0;
    Ok(measured)
}

/// Flows do not end by themselves.
fn start(flows: u32, sweep: &str) -> Result<Agent> {
    let capacity = capacity(flows);
    Agent::start(&format!(
        "[flows]\nsweep = \"{sweep}\"\nidle = \"1h\"\n[limits]\nflows = {capacity}\n"
    ))
}

fn wait_followed(agent: &Agent, flows: u32) -> Result<()> {
    let active = "nodeprobe_flow_active";
    let scrape = agent.scrape_until(LONG, |scrape| scrape.sum(active, &[]) >= f64::from(flows))?;
    let shown = scrape.sum(active, &[]);
    ensure!(
        shown >= f64::from(flows),
        "{shown} flows of {flows} are followed"
    );
    Ok(())
}
