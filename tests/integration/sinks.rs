//! What takes the flow log fails under a running agent: nothing else stops, and what is missing is told.

use std::{io::Read as _, path::Path, process::Command, thread};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tests::{
    cgroup::Cgroup,
    disk::Disk,
    flowlog::FlowLog,
    lock::alone,
    nodeprobe::{Agent, command, free_port},
    scrape::Scrape,
    skip::unless_available,
    wait::LONG,
    workload::Workload,
};

use crate::traffic::has_probe;

/// More records than a disk of 1 MiB, the queue and a pipe hold.
const MANY: u64 = 12_000;
const FEW: u64 = 10;

/// Makes one record with each connection that is refused.
struct Traffic {
    cgroup: Cgroup,
    workload: Workload,
    port: u16,
    made: u64,
}

impl Traffic {
    fn new() -> Result<Self> {
        Ok(Self {
            cgroup: Cgroup::new("sink")?,
            workload: Workload::new()?,
            port: free_port()?.port(),
            made: 0,
        })
    }

    fn make(&mut self, count: u64) -> Result<()> {
        let args = format!("refused --port {} --connections {count}", self.port);
        self.workload.run(&self.cgroup, &args)?;
        self.made += count;
        Ok(())
    }

    /// The agent still counts all of it.
    fn is_counted(&self, agent: &Agent) -> Result<()> {
        let path = self.cgroup.path();
        let labels = [("container", path.as_str())];
        let counted = |scrape: &Scrape| scrape.sum("nodeprobe_tcp_connects_total", &labels) as u64;
        let scrape = agent.scrape_until(LONG, |scrape| counted(scrape) >= self.made)?;
        assert_eq!(counted(&scrape), self.made);
        Ok(())
    }

    /// Checks a log in which records are missing. Returns how many.
    fn check(&self, log: &FlowLog) -> Result<u64> {
        let path = self.cgroup.path();
        let ends = log.of(&path).filter(|flow| flow.event == "end").count() as u64;
        let missing = self.made - ends;
        let holes = log.holes();
        // Records of others on this machine may be among them.
        assert!(missing > 0 && missing <= holes, "{missing} of {holes}");
        assert!(holes < missing + 1000, "{missing} of {holes}");
        let told: u64 = log
            .losses
            .iter()
            .filter(|loss| (&*loss.stage, &*loss.unit) == ("queue", "records"))
            .map(|loss| loss.count)
            .sum();
        assert_eq!(told, holes, "{:?}", log.losses);
        let before: u64 = log
            .flows
            .iter()
            .filter_map(|flow| flow.lost_before.as_ref()?.get("queue"))
            .sum();
        assert_eq!(before, holes);
        log.balanced()?;
        Ok(holes)
    }
}

fn config(log: &Path) -> String {
    format!("flows.log = {log:?}\nflows.sweep = \"1s\"\nlimits.naming_deadline = \"0s\"\n")
}

/// Starts an agent; `None` where the kernel lacks what the test is about.
fn agent(config: &str, command: Command) -> Result<Option<Agent>> {
    let agent = Agent::start_with(config, command)?;
    Ok(has_probe(&agent.scrape()?, "tcp").then_some(agent))
}

fn records(scrape: &Scrape, result: &str) -> u64 {
    scrape.sum("nodeprobe_flow_log_records_total", &[("result", result)]) as u64
}

fn lost(scrape: &Scrape) -> u64 {
    let labels = [("stage", "queue"), ("reason", "queue_full")];
    scrape.sum("nodeprobe_records_lost_total", &labels) as u64
}

fn failed_writes(scrape: &Scrape) -> f64 {
    scrape.sum("nodeprobe_flow_log_failures_total", &[("action", "write")])
}

/// Waits until records are refused, which the agent counts and says.
fn wait_for_losses(agent: &Agent) -> Result<()> {
    let scrape = agent.scrape_until(LONG, |scrape| records(scrape, "refused") > 0)?;
    assert!(records(&scrape, "refused") > 0);
    assert_eq!(lost(&scrape), records(&scrape, "refused"));
    agent.wait_until_said("queue full, records are lost", 1)
}

/// Waits until nothing waits any more.
fn wait_until_written(agent: &Agent) -> Result<()> {
    let waiting = |scrape: &Scrape| scrape.sum("nodeprobe_flow_log_waiting", &[]);
    let scrape = agent.scrape_until(LONG, |scrape| waiting(scrape) == 0.0)?;
    assert_eq!(waiting(&scrape), 0.0, "{}", agent.said());
    Ok(())
}

#[test]
fn a_full_disk_delays_records_and_the_log_tells_what_the_queue_could_not_hold() -> Result<()> {
    let _alone = alone();
    let Some(disk) = unless_available("disk", Disk::in_memory("1m")) else {
        return Ok(());
    };
    let log = disk.path().join("flows.ndjson");
    let Some(agent) = agent(&config(&log), disk.command())? else {
        return Ok(());
    };
    let mut traffic = Traffic::new()?;
    traffic.make(MANY)?;
    wait_for_losses(&agent)?;
    agent.wait_until_said("records cannot be written, and wait", 1)?;
    assert!(failed_writes(&agent.scrape()?) > 0.0);
    traffic.is_counted(&agent)?;

    disk.mount(agent.pid(), "-o remount,size=64m")?;
    // It would try by itself within half a minute.
    agent.signal(Signal::HUP)?;
    agent.wait_until_said("records are written again", 1)?;
    wait_until_written(&agent)?;
    traffic.make(FEW)?;
    traffic.is_counted(&agent)?;
    let refused = records(&agent.scrape()?, "refused");
    let kept = disk.keep(agent.pid())?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    assert_eq!(
        said.matches("cannot be written").count(),
        1,
        "said once: {said}"
    );
    let holes = traffic.check(&FlowLog::read(&kept.file("flows.ndjson"))?)?;
    assert_eq!(holes, refused);
    Ok(())
}

#[test]
fn a_disk_that_turns_read_only_stops_nothing_and_another_one_takes_over() -> Result<()> {
    let _alone = alone();
    let Some(disk) = unless_available("disk", Disk::in_file()) else {
        return Ok(());
    };
    let log = disk.path().join("flows.ndjson");
    let Some(agent) = agent(&config(&log), disk.command())? else {
        return Ok(());
    };
    let mut traffic = Traffic::new()?;
    traffic.make(FEW)?;
    traffic.is_counted(&agent)?;
    wait_until_written(&agent)?;
    // As the file system does itself when it meets an error.
    disk.mount(agent.pid(), "-o remount,abort")?;
    traffic.make(MANY)?;
    wait_for_losses(&agent)?;
    agent.wait_until_said("records cannot be written, and wait", 1)?;
    traffic.is_counted(&agent)?;

    disk.mount(agent.pid(), "-t tmpfs tmpfs")?;
    agent.signal(Signal::HUP)?;
    agent.wait_until_said("records are written again", 1)?;
    wait_until_written(&agent)?;
    traffic.make(FEW)?;
    traffic.is_counted(&agent)?;
    let kept = disk.keep(agent.pid())?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    let mut later = FlowLog::read(&kept.file("flows.ndjson"))?;
    // The beginning is on the other disk.
    let first = later.numbers.iter().min().copied().context("records")?;
    later.numbers.extend(1..first);
    traffic.made -= FEW;
    traffic.check(&later).map(drop)
}

#[test]
fn a_reader_that_stalls_delays_records_and_hears_what_the_queue_could_not_hold() -> Result<()> {
    let _alone = alone();
    let (agent, mut pipe) = Agent::start_piped(&config(Path::new("-")), command())?;
    if !has_probe(&agent.scrape()?, "tcp") {
        return Ok(());
    }
    let Some(mut traffic) = unless_available("cgroup", Traffic::new()) else {
        return Ok(());
    };
    traffic.make(MANY)?;
    wait_for_losses(&agent)?;
    traffic.is_counted(&agent)?;

    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    });
    wait_until_written(&agent)?;
    traffic.make(FEW)?;
    traffic.is_counted(&agent)?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    let bytes = reader.join().expect("the thread does not panic")?;
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), bytes)?;
    traffic.check(&FlowLog::read(file.path())?).map(drop)
}

#[test]
fn a_reader_that_stalls_does_not_keep_the_agent_from_ending() -> Result<()> {
    let _alone = alone();
    let (agent, pipe) = Agent::start_piped(&config(Path::new("-")), command())?;
    if !has_probe(&agent.scrape()?, "tcp") {
        return Ok(());
    }
    let Some(mut traffic) = unless_available("cgroup", Traffic::new()) else {
        return Ok(());
    };
    traffic.make(MANY)?;
    wait_for_losses(&agent)?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    assert!(
        said.contains("the end of the flow log is missing"),
        "{said}"
    );
    drop(pipe);
    Ok(())
}
