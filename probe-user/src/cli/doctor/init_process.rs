//! A row that says whether this kernel keeps process 1 from tracing programs.
//!
//! Kernels of some virtual machines run no tracing program while a thread of process 1 is the current task. Then an
//! interrupt that meets such a thread and ends a connection is seen by no program, and no counter of skipped runs has it.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Check, Facts, State, probes::obstacle};
use crate::{
    kernel::{Roots, switches},
    logs::chain,
    model::{OwnerId, OwnerKind},
    probes::Latency,
    session::{Enabled, Plan, Session},
};

const NAME: &str = "process 1";
const AREA: &str = "kernel features";
const INIT: OwnerId = OwnerId(1);
/// Switches that are enough to tell.
const ENOUGH: u64 = 20;
/// How long process 1 may take for them.
const LIMIT: Duration = Duration::from_secs(2);
/// Inode of the first PID namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// The row. Attaches the probe `scheduler` for up to two seconds.
pub(super) fn check(facts: &Facts) -> Check {
    if let Some((why, _)) = obstacle(facts) {
        return unknown(&why);
    }
    let own = fs::read_link(facts.roots.proc.join("self/ns/pid"));
    if own.is_ok_and(|own| own.as_os_str() != FIRST_NAMESPACE) {
        return unknown("runs in a PID namespace, whose process 1 is another one");
    }
    match compare(facts) {
        Ok((seen, switches)) => row(seen, switches),
        Err(why) => unknown(&why),
    }
}

/// Switches of process 1 in a short time: those that the probe saw, and those that `/proc` has.
fn compare(facts: &Facts) -> Result<(u64, u64), String> {
    let plan = Plan {
        roots: Roots::clone(&facts.roots),
        probes: [("scheduler", Enabled::Always)].into(),
        owners: OwnerKind::Process,
        latency: Latency::Off,
        ..Plan::from(&facts.config)
    };
    let session = Session::start(&plan).map_err(|error| chain(&error))?;
    let count = || switches::of_process(&facts.roots.proc, INIT.0 as u32);
    let before = count().map_err(|error| error.to_string())?;
    let begin = Instant::now();
    let mut now = before;
    while now < before + ENOUGH && begin.elapsed() < LIMIT {
        wake_init();
        thread::sleep(Duration::from_millis(10));
        now = count().map_err(|error| error.to_string())?;
    }
    let measured = session.measure();
    let seen = measured.sched.iter().filter(|row| row.owner == INIT);
    Ok((
        seen.map(|row| row.voluntary + row.involuntary).sum(),
        now - before,
    ))
}

/// Leaves process 1 a child, whose end wakes it. Where there is no shell, it wakes when it likes.
fn wake_init() {
    let mut shell = Command::new("sh");
    shell.args(["-c", ": &"]);
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    shell.status().ok();
}

fn row(seen: u64, switches: u64) -> Check {
    if switches < ENOUGH {
        return unknown(&format!(
            "it switched {switches} times only, which tells nothing"
        ));
    }
    if 2 * seen < switches {
        let detail = format!(
            "hidden from tracing programs: {seen} of {switches} context switches seen; ends of connections that an \
             interrupt brings to it are missed (loss reason `end_missed`), and it has no calls and no times"
        );
        return Check::new(AREA, NAME, State::Degraded, detail);
    }
    Check::new(AREA, NAME, State::Ok, "is traced like any other process")
}

fn unknown(why: &str) -> Check {
    Check::new(AREA, NAME, State::Unknown, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_seen_is_degraded_and_one_that_sleeps_is_unknown() {
        assert_eq!(row(0, 40).state, State::Degraded);
        assert_eq!(row(39, 40).state, State::Ok);
        assert_eq!(row(0, 3).state, State::Unknown);
    }
}
