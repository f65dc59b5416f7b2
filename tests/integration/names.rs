//! Names that come late, change, or belong to cgroups that do not show what they are; and cgroups that nobody reports.

use std::{collections::BTreeSet, fs, os::unix::fs::symlink, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    guard::run,
    lock::alone,
    nodeprobe::{Agent, command},
    runtime::{Container, containerd::Containerd, docker::Docker},
    scrape::Scrape,
    skip::unless_available,
    wait::{LONG, poll},
};

const CALLS: &str = "syscalls --calls 4000";

/// Calls of a container by the name that the agent has for it.
fn calls(scrape: &Scrape, name: &str) -> f64 {
    let labels = [("container", name), ("syscall", "ioprio_get")];
    scrape.sum("nodeprobe_syscalls_total", &labels)
}

fn unnamed(scrape: &Scrape, runtime: &str) -> f64 {
    scrape.sum("nodeprobe_unnamed_containers", &[("runtime", runtime)])
}

/// What `nodeprobe containers` says of a container.
fn listed(id: &str, args: &[&str]) -> Result<Value> {
    let text = run(command().args(["containers", "-o", "json"]).args(args))?;
    let listing: Value = serde_json::from_str(&text)?;
    let containers = listing["containers"].as_array().context("no list")?;
    let found = containers.iter().find(|row| row["id"] == id);
    found
        .cloned()
        .with_context(|| format!("{id} is not in {text}"))
}

/// A runtime that can be reached only after the agent has started, and one that renames a container.
#[test]
fn a_name_that_comes_late_and_a_rename_are_taken_up() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start()) else {
        return Ok(());
    };
    let container = docker.start_workload("late", CALLS)?;
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("docker.sock");
    let agent = Agent::start(&format!("runtimes.docker = [{socket:?}]"))?;
    let short = &container.id[..12];
    let scrape = agent.scrape_until(LONG, |scrape| unnamed(scrape, "docker") == 1.0)?;
    assert_eq!(unnamed(&scrape, "docker"), 1.0);
    let ready = agent.get("/readyz")?.text();
    ensure!(
        ready.contains("1 container has no name (runtime docker)"),
        "{ready}"
    );
    ensure!(
        ready.contains(&format!("{}: not there", socket.display())),
        "{ready}"
    );

    symlink(docker.socket(), &socket)?;
    let scrape = agent.scrape_until(2 * LONG, |scrape| unnamed(scrape, "docker") == 0.0)?;
    assert_eq!(unnamed(&scrape, "docker"), 0.0);
    is_exact(&agent, &container, "late")?;
    let ready = agent.get("/readyz")?.text();
    ensure!(!ready.contains("no name"), "{ready}");

    let second = docker.start_workload("green", CALLS)?;
    docker.rename("green", "blue")?;
    is_exact(&agent, &second, "blue")?;

    let socket = format!("docker={}", docker.socket().display());
    let row = listed(&second.id, &["--runtime", &socket])?;
    assert_eq!(
        (&row["name"], &row["runtime"]),
        (&"blue".into(), &"docker".into())
    );
    let row = listed(&container.id, &[])?;
    assert_eq!(
        (&row["name"], &row["naming"]),
        (&short.into(), &"unnamed".into())
    );
    Ok(())
}

/// Has a container make its calls, all of which are counted under this name.
fn is_exact(agent: &Agent, container: &Container, name: &str) -> Result<()> {
    container.task.go()?;
    container.task.wait_done()?;
    let scrape = agent.scrape_until(LONG, |scrape| calls(scrape, name) == 4000.0)?;
    ensure!(
        calls(&scrape, name) == 4000.0,
        "{} calls of {name}",
        calls(&scrape, name)
    );
    Ok(())
}

/// Whoever starts a container of containerd chooses its cgroup.
#[test]
fn a_task_of_containerd_in_any_cgroup_is_a_container() -> Result<()> {
    let _alone = alone();
    let Some(containerd) = unless_available("containerd", Containerd::start()) else {
        return Ok(());
    };
    let parent = Cgroup::new("odd")?;
    let path = format!("{}/a/cell", parent.path());
    let before = containerd.start_workload_in("before", &path, CALLS)?;
    let agent = Agent::start(&format!(
        "runtimes.containerd = [{:?}]",
        containerd.socket()
    ))?;
    let path = format!("{}/b/cell", parent.path());
    let after = containerd.start_workload_in("after", &path, CALLS)?;
    is_exact(&agent, &before, "before")?;
    is_exact(&agent, &after, "after")?;
    let socket = format!("containerd={}", containerd.socket().display());
    let row = listed("after", &["--runtime", &socket])?;
    assert_eq!(
        (&row["runtime"], &row["cgroup"]),
        (&"containerd".into(), &path.into())
    );
    drop(agent);
    drop(containerd);
    Ok(())
}

/// Without the probe `lifecycle` a cgroup that lives between two walks is never known.
#[test]
fn entries_of_cgroups_that_nobody_reported_are_freed() -> Result<()> {
    const CGROUPS: usize = 60;
    let _alone = alone();
    let agent = Agent::start("probes.lifecycle.enabled = \"never\"\ncollect_interval = \"5s\"")?;
    let parent = Cgroup::new("churn")?;
    // As of the last reading, and each is seen by some scrapes.
    let entries =
        |scrape: &Scrape| scrape.sum("nodeprobe_map_entries", &[("map", "scheduler/SCHED")]);
    let start = entries(&agent.scrape()?);
    let mut ids = BTreeSet::new();
    for number in 0..CGROUPS {
        let child = parent.child(&format!("run-{number}.scope"))?;
        ids.insert(child.id()?);
        run(&mut child.command("true"))?;
        child.remove()?;
    }
    assert_eq!(ids.len(), CGROUPS);
    // Two walks for those that are gone are ten seconds apart: one reading has at least half of them.
    let half = start + CGROUPS as f64 / 2.0;
    let full = entries(&agent.scrape_until(LONG, |scrape| entries(scrape) >= half)?);
    ensure!(full >= half, "{start} entries became {full}");
    // What else this host starts meanwhile has some.
    let few = start + CGROUPS as f64 / 4.0;
    let after = entries(&agent.scrape_until(LONG, |scrape| entries(scrape) <= few)?);
    ensure!(
        after <= few,
        "{after} entries are left of {full}, {start} at the start"
    );
    Ok(())
}

/// Bytes that are no text, and what a systemd unit holds.
#[test]
fn cgroups_are_listed_with_names_that_stay_apart() -> Result<()> {
    let _alone = alone();
    let parent = Cgroup::new("bytes")?;
    let names: [&[u8]; 2] = [b"a\xff", b"a\xfe"];
    for name in names {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        fs::create_dir_all(parent.folder().join(OsStr::from_bytes(name)).join("inner"))?;
    }
    let text = run(command().args(["containers", "--all", "-o", "json"]))?;
    let listing: Value = serde_json::from_str(&text)?;
    let rows = listing["containers"].as_array().context("no list")?;
    let below: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| row["cgroup"].as_str())
        .filter_map(|path| path.strip_prefix(&parent.path()))
        .collect();
    let expected = ["", r"/a\xfe", r"/a\xfe/inner", r"/a\xff", r"/a\xff/inner"];
    assert_eq!(below, expected.into());
    Ok(())
}

/// The tools say so where most cgroups are hidden.
#[test]
fn a_private_cgroup_namespace_is_told_by_agent_and_tools() -> Result<()> {
    let _alone = alone();
    let cgroup = Cgroup::new("private")?;
    // The mount shows the part of the hierarchy that is the root of the namespace.
    let program = tests::nodeprobe::binary();
    let script = "set -e; mount --make-rprivate /; umount -l /sys/fs/cgroup; \
                  mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/unified; \
                  mount -t cgroup2 none /sys/fs/cgroup/unified; exec \"$@\"";
    let isolated = || {
        let mut command = cgroup.command("unshare");
        command.args(["--cgroup", "--mount", "sh", "-c", script, "sh"]);
        command
    };
    if !works(isolated().arg("true")) {
        tests::skip::skip("cgroup namespaces", "unshare or mount is refused");
        return Ok(());
    }
    let mut tool = isolated();
    let text = run(tool
        .arg(program)
        .args(["syscalls", "-d", "1s", "-o", "json"]))?;
    let report: Value = serde_json::from_str(&text)?;
    let note = "can be told apart";
    ensure!(report["notes"].to_string().contains(note), "{text}");
    let mut command = isolated();
    command.arg(program);
    let agent = Agent::start_with("", command)?;
    agent.wait_until_said(note, 1)?;
    let ready = poll(LONG, "the note", || agent.get("/readyz").ok())?.text();
    ensure!(ready.contains(note), "{ready}");
    Ok(())
}

fn works(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}
