//! A batch job takes the CPU of a service.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context as _, Result};
use tests::{cgroup::Cgroup, isolate::Isolate as _, nodeprobe::Tool, skip::program, truth};

use crate::{
    rig::{self, Running},
    scenario::{Finding, Scenario},
};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "noisy-neighbour",
    question: "who takes the CPU of my service, and for how long does it wait?",
    expected_failure: None,
    run,
};

/// `stress-ng` computes on all CPUs beside a service that has one thread to compute.
fn run() -> Result<Finding> {
    let service = Cgroup::new("service")?;
    let batch = Cgroup::new("batch")?;
    let mut command = rig::within(
        &service,
        "stress-ng",
        "stress-ng",
        "--cpu 1 --cpu-method int64 --timeout 120 --quiet",
    )?;
    let victim = Running::start(&mut command)?;
    let noise = "--cpu 6 --cpu-method int64 --timeout 120 --quiet";
    let _noise = Running::start(&mut rig::within(&batch, "stress-ng", "stress-ng", noise)?)?;
    let mut peer = Command::new(program("runqslower", "libbpf-tools")?);
    // Waits of a millisecond and more, with the task that ran before.
    peer.args(["-P", "1000"]);
    let worker = tests::wait::poll(tests::wait::LONG, "the worker of the service", || {
        child_of(victim.pid())
    })?;
    let tool = Tool::attach("offcpu --duration 300s --by container")?;
    let waits = Tool::attach("runqlat --duration 300s --by container")?;
    let before = truth::scheduling(worker)?;
    let peer = Peer::start(peer)?;
    rig::for_a_while(8);
    let truth = truth::scheduling(worker)? - before;
    let slower = peer.finish()?;
    let (off, waits) = (tool.finish()?, waits.finish()?);

    let path = service.path();
    let row = off.of(&path).next().context("the service has a row")?;
    // Kernel threads and whatever else the host runs preempt more often, and for shorter.
    let mut containers = row
        .preempted_by
        .iter()
        .filter(|by| by.container.cgroup != "/");
    let named = containers.next();
    let named = named.map_or_else(|| "nobody".to_owned(), |by| by.container.cgroup.clone());
    let waited: f64 = waits.of(&path).map(|row| row.runqueue.sum_seconds).sum();
    let culprit = slower
        .of(worker)
        .max_by_key(|(_, count)| *count)
        .map_or("nobody", |(comm, _)| comm);
    let truly = truth.waiting.as_secs_f64();
    Ok(Finding {
        nodeprobe: format!("{path} waited {waited:.2} s, of containers preempted most by {named}"),
        oracle: format!("schedstat: {truly:.2} s of its worker; runqslower: after `{culprit}`"),
        // The parent of the worker waits a little as well, and the windows differ at both ends.
        agrees: named == batch.path()
            && culprit.starts_with("stress-ng")
            && rig::within_share(0.15, waited, truly),
    })
}

/// A child of a process.
fn child_of(pid: i32) -> Option<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(path).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// `runqslower` while it runs.
struct Peer(Running);

/// Tasks that ran before a late one, by its thread id.
struct Slower(BTreeMap<(i32, String), u64>);

impl Peer {
    fn start(mut command: Command) -> Result<Self> {
        Ok(Self(Running::start(command.with_tracefs())?))
    }

    fn finish(self) -> Result<Slower> {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(self.0.pid()).context("a process id")?,
            rustix::process::Signal::INT,
        )?;
        let text = self.0.output()?;
        let mut slower = BTreeMap::new();
        // TIME COMM TID LAT(us) PREV_COMM PREV_TID; names may have spaces, numbers have none.
        for line in text.lines() {
            if let Some((tid, previous)) = parse(line) {
                *slower.entry((tid, previous)).or_default() += 1;
            }
        }
        Ok(Slower(slower))
    }
}

impl Slower {
    fn of(&self, tid: i32) -> impl Iterator<Item = (&str, u64)> {
        let of = self.0.iter().filter(move |((it, _), _)| *it == tid);
        of.map(|((_, comm), count)| (comm.as_str(), *count))
    }
}

fn parse(line: &str) -> Option<(i32, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let numbers: Vec<usize> = (0..fields.len())
        .filter(|at| fields[*at].chars().all(|c| c.is_ascii_digit()))
        .collect();
    let [tid, latency, .., previous] = numbers[..] else {
        return None;
    };
    (latency == tid + 1 && previous + 1 == fields.len())
        .then(|| {
            Some((
                fields[tid].parse().ok()?,
                fields[latency + 1..previous].join(" "),
            ))
        })
        .flatten()
}
