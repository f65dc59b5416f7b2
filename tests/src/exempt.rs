//! Whether this kernel keeps events of process 1 from tracing programs.
//!
//! Some kernels of virtual machines run no tracing program while a thread of process 1 is the current task. An interrupt
//! that meets such a thread and ends a connection is then an event that no program sees and that no counter of skipped
//! runs has. Only there may a test excuse a missing event: see [`Missing`].

use std::{process::Command, sync::OnceLock};

use anyhow::{Context as _, Result, ensure};

use crate::{nodeprobe::Tool, truth, wait::LONG, wait::poll};

/// Context switches of process 1 that are enough to tell.
const ENOUGH: u64 = 40;

/// Whether process 1 is exempt here: it switches, as `/proc` says, and the probe sees less than half of that. Measured
/// once for all tests of a run.
///
/// # Errors
///
/// If process 1 cannot be made to switch, or a tool fails.
pub fn process_one_is_exempt() -> Result<bool> {
    static EXEMPT: OnceLock<bool> = OnceLock::new();
    if let Some(known) = EXEMPT.get() {
        return Ok(*known);
    }
    let tool = Tool::attach("offcpu --by process --pid 1 --duration 300s")?;
    let before = switches()?;
    poll(LONG, "process 1 to switch", || {
        orphan().ok()?;
        (switches().ok()? - before >= ENOUGH).then_some(())
    })?;
    let truth = switches()? - before;
    let report = tool.finish()?;
    let seen: u64 = report
        .rows
        .iter()
        .map(|row| row.voluntary_switches + row.involuntary_switches)
        .sum();
    let exempt = 2 * seen < truth;
    if exempt {
        eprintln!("process 1 is exempt from tracing here: {seen} of {truth} switches were seen");
    }
    Ok(*EXEMPT.get_or_init(|| exempt))
}

fn switches() -> Result<u64> {
    let truth = truth::scheduling(1)?;
    Ok(truth.voluntary + truth.involuntary)
}

/// Leaves process 1 a child, whose end wakes it.
fn orphan() -> Result<()> {
    let status = Command::new("sh").args(["-c", "true &"]).status();
    ensure!(status.context("run sh")?.success(), "sh failed");
    Ok(())
}

/// Events that nodeprobe itself counts as missing, by why no program had them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Runs of programs that the kernel skipped, by its own counter (`recursion`).
    pub skipped: u64,
    /// Ends that no program saw and no counter of the kernel has (`end_missed`).
    pub unseen: u64,
}

/// How far below the expected number a count may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excused(u64);

impl Missing {
    /// What excuses a comparison, of so many expected events: nothing where nothing is missing.
    ///
    /// # Errors
    ///
    /// If more is missing than a few, or an end was not seen although this kernel hides none from programs.
    pub fn excuse(self, expected: u64) -> Result<Excused> {
        let Self { skipped, unseen } = self;
        // Where programs can be preempted the kernel skips one in some dozens, on a busy emulated host.
        let bound = 10 + expected / 5;
        ensure!(
            skipped <= bound,
            "the kernel skipped {skipped} runs for {expected} events, more than {bound}"
        );
        // Some in a hundred thousand were seen at worst; a burst of them may meet a test of a few dozen.
        let bound = 4 + expected / 1000;
        ensure!(
            unseen <= bound,
            "{unseen} of {expected} events were not seen, more than {bound}"
        );
        ensure!(
            unseen == 0 || process_one_is_exempt()?,
            "{unseen} of {expected} events were not seen, and this kernel hides none from programs"
        );
        Ok(self.at_most())
    }

    /// The same before anybody has checked whether it may be.
    pub fn at_most(self) -> Excused {
        Excused(self.skipped + self.unseen)
    }
}

impl Excused {
    /// Whether a count is the expected one, less what is excused.
    pub fn matches(self, expected: u64, count: u64) -> bool {
        (expected.saturating_sub(self.0)..=expected).contains(&count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_excused_where_nothing_is_missing() {
        let excused = Missing::default().excuse(100).unwrap();
        assert!(excused.matches(100, 100));
        assert!(!excused.matches(100, 99) && !excused.matches(100, 101));
    }

    #[test]
    fn skipped_runs_excuse_as_many_events_and_no_more() {
        let missing = Missing {
            skipped: 2,
            unseen: 0,
        };
        let excused = missing.excuse(100).unwrap();
        assert!(excused.matches(100, 98));
        assert!(!excused.matches(100, 97));
    }

    #[test]
    fn more_than_a_few_are_never_excused() {
        let missing = |skipped, unseen| Missing { skipped, unseen };
        missing(0, 5).excuse(100).unwrap_err();
        missing(0, 105).excuse(100_000).unwrap_err();
        missing(31, 0).excuse(100).unwrap_err();
    }
}
