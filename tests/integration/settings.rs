//! Where settings come from, and what changes when the file is read again.

use std::{fs, net::SocketAddr, process::Command};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tests::{
    lock::alone,
    nodeprobe::{Agent, command, free_port, run},
    scrape::Scrape,
    wait::LONG,
};

/// A command whose log depends on its settings alone.
fn plain() -> Command {
    let mut command = command();
    command.env_remove("RUST_LOG");
    command
}

fn limit_of_calls(scrape: &Scrape) -> f64 {
    let family = [("family", "nodeprobe_syscalls_total")];
    scrape.sum("nodeprobe_series_limit", &family)
}

fn file(listen: SocketAddr, level: &str, cap: u32) -> String {
    format!(
        "listen = \"{listen}\"\ncollect_interval = \"200ms\"\nlog.level = \"{level}\"\n\
         limits.series_per_family = {{ nodeprobe_syscalls_total = {cap} }}\n"
    )
}

#[test]
fn a_reload_applies_what_it_can_and_says_what_it_cannot() -> Result<()> {
    const LOADED: &str = "SIGHUP: configuration loaded";
    let _alone = alone();
    let here = free_port()?;
    let agent = Agent::spawn_at(here, &file(here, "info", 700), plain(), &[])?.ready()?;
    let reload = |content: &str| -> Result<()> {
        fs::write(agent.config(), content)?;
        agent.signal(Signal::HUP)
    };
    assert_eq!(limit_of_calls(&agent.scrape()?), 700.0);

    reload(&file(here, "info", 701))?;
    agent.wait_until_said(LOADED, 1)?;
    let scrape = agent.scrape_until(LONG, |scrape| limit_of_calls(scrape) == 701.0)?;
    assert_eq!(limit_of_calls(&scrape), 701.0);

    // An address needs a restart; the rest of the same file is applied.
    let there = free_port()?;
    reload(&file(there, "info", 702))?;
    agent.wait_until_said("these keys need a restart", 1)?;
    let said = agent.said();
    let line = said.lines().find(|line| line.contains("need a restart"));
    assert!(line.is_some_and(|line| line.contains("listen")), "{said}");
    let scrape = agent.scrape_until(LONG, |scrape| limit_of_calls(scrape) == 702.0)?;
    assert_eq!(limit_of_calls(&scrape), 702.0);
    assert_eq!(agent.get("/readyz")?.status, 200, "at the old address");

    reload("log.level = \"loud\"\nlimits.series_per_family = = {\n")?;
    agent.wait_until_said("the old one stays in force", 1)?;
    assert_eq!(limit_of_calls(&agent.scrape()?), 702.0);
    assert_eq!(agent.said().matches(LOADED).count(), 2);
    Ok(())
}

#[test]
fn a_reload_changes_what_is_logged() -> Result<()> {
    const LOADED: &str = "SIGHUP: configuration loaded";
    const WRONG: &str = "the old one stays in force";
    let _alone = alone();
    let here = free_port()?;
    let agent = Agent::spawn_at(here, &file(here, "info", 700), plain(), &[])?.ready()?;
    let reload = |content: &str| -> Result<()> {
        fs::write(agent.config(), content)?;
        agent.signal(Signal::HUP)
    };
    // From here on only errors: neither what is loaded nor what is wrong is told.
    reload(&file(here, "error", 701))?;
    let applied = |scrape: &Scrape| limit_of_calls(scrape) == 701.0;
    assert!(applied(&agent.scrape_until(LONG, applied)?));
    reload(&file(here, "error", 702))?;
    let applied = |scrape: &Scrape| limit_of_calls(scrape) == 702.0;
    assert!(applied(&agent.scrape_until(LONG, applied)?));
    assert_eq!(agent.said().matches(LOADED).count(), 1, "{}", agent.said());
    // Back again: a broken file is told of.
    reload(&file(here, "warn", 703))?;
    let applied = |scrape: &Scrape| limit_of_calls(scrape) == 703.0;
    assert!(applied(&agent.scrape_until(LONG, applied)?));
    reload("nonsense = 1\n")?;
    agent.wait_until_said(WRONG, 1)?;
    assert!(agent.said().contains("nonsense"), "{}", agent.said());
    assert_eq!(agent.said().matches(LOADED).count(), 1, "{}", agent.said());
    Ok(())
}

#[test]
fn flags_stand_above_the_environment_and_that_above_the_file() -> Result<()> {
    let _alone = alone();
    let file =
        "node = \"from-file\"\nlimits.series_per_family = { nodeprobe_syscalls_total = 700 }\n";
    let limit = "nodeprobe_syscalls_total=701";
    let node = |agent: &Agent| -> Result<String> {
        let has = |scrape: &Scrape| scrape.has("nodeprobe_syscalls_total");
        let scrape = agent.scrape_until(LONG, has)?;
        let sample = scrape.with("nodeprobe_syscalls_total", &[]).next();
        Ok(sample.context("no call was counted")?.label("node").into())
    };

    let agent = Agent::start(file)?;
    assert_eq!(node(&agent)?, "from-file");
    assert_eq!(limit_of_calls(&agent.scrape()?), 700.0);
    drop(agent);

    let mut command = plain();
    command
        .env("NODEPROBE_NODE", "from-environment")
        .env("NODEPROBE_LIMITS_SERIES_PER_FAMILY", limit);
    let agent = Agent::start_with(file, command)?;
    assert_eq!(node(&agent)?, "from-environment");
    assert_eq!(limit_of_calls(&agent.scrape()?), 701.0);
    drop(agent);

    let (here, nowhere) = (free_port()?, free_port()?);
    let mut command = plain();
    command
        .env("NODEPROBE_NODE", "from-environment")
        .env("NODEPROBE_LISTEN", nowhere.to_string());
    let flags = ["--node", "from-flag", "--listen", &here.to_string()];
    let agent = Agent::spawn_at(here, file, command, &flags)?.ready()?;
    assert_eq!(node(&agent)?, "from-flag");
    assert_eq!(limit_of_calls(&agent.scrape()?), 700.0, "from the file");
    Ok(())
}

#[test]
fn a_wrong_value_in_the_environment_is_named() -> Result<()> {
    let mut command = plain();
    command.env("NODEPROBE_LIMITS_OWNERS", "many");
    let agent = Agent::spawn("", command)?;
    let (status, said) = agent.wait()?;
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("NODEPROBE_LIMITS_OWNERS"), "{said}");
    Ok(())
}

#[test]
fn the_log_names_the_port_that_port_zero_stands_for() -> Result<()> {
    let _alone = alone();
    let args = "agent --listen localhost:0 --duration 0.2 --no-table";
    let (code, _, stderr) = run(args, plain())?;
    assert_eq!(code, 0, "{stderr}");
    let named = stderr.split("listen=127.0.0.1:").nth(1);
    let port: String = named
        .context("the log names an address")?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    assert_ne!(port.parse::<u16>()?, 0, "{stderr}");
    Ok(())
}
