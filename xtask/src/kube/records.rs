//! Processes that were started, so that they can be stopped later by another run, and nobody else is.
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::state::State;

/// How long a process may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process by its id and the time of its start, which together are never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) pid: u32,
    start: u64,
}

impl Record {
    /// Of a process that runs.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let start = start_of(pid).with_context(|| format!("process {pid} is not there"))?;
        Ok(Self { pid, start })
    }

    /// Notes it under a name.
    pub(super) fn write(self, state: &State, name: &str) -> Result<()> {
        state.write(
            &format!("pids/{name}"),
            &format!("{} {}", self.pid, self.start),
        )?;
        Ok(())
    }

    /// The one that was noted under a name, if it still runs.
    pub(super) fn read(state: &State, name: &str) -> Option<Self> {
        let text = fs::read_to_string(state.path("pids").join(name)).ok()?;
        Self::parse(&text).filter(|record| record.runs())
    }

    fn parse(text: &str) -> Option<Self> {
        let (pid, start) = text.trim().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            start: start.parse().ok()?,
        })
    }

    fn runs(self) -> bool {
        start_of(self.pid) == Some(self.start)
    }

    /// Asks it to end, and makes it if it does not.
    pub(super) fn stop(self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        self.signal(Signal::TERM);
        while self.runs() {
            if Instant::now() > deadline {
                self.signal(Signal::KILL);
            }
            if Instant::now() > deadline + PATIENCE {
                bail!("process {} does not end", self.pid);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Kills it: an end without any warning.
    pub(super) fn kill(self) {
        while self.runs() {
            self.signal(Signal::KILL);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // It may have ended a moment ago.
        if let (Some(pid), true) = (pid, self.runs()) {
            _ = kill_process(pid, signal);
        }
    }
}

/// When a process was started, in ticks: field 22 of its `stat`. A zombie has ended.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    // The name is in parentheses and may have any character.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (state != "Z").then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_of_one_process_only() {
        let own = Record::of(std::process::id()).unwrap();
        assert!(own.runs());
        let other = Record {
            start: own.start + 1,
            ..own
        };
        assert!(!other.runs());
        let text = format!("{} {}", own.pid, own.start);
        assert_eq!(Record::parse(&text), Some(own));
        assert_eq!(Record::parse("7"), None);
    }
}
