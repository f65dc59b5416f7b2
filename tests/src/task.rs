//! The hand-shake with a workload, wherever it runs: by its thread name and by signals, so by its
//! pid alone.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{LONG, poll};

/// A workload process as the host sees it.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pid: Pid,
}

impl Task {
    /// A process by the pid that it has in the root namespace.
    ///
    /// # Errors
    ///
    /// If that is no pid.
    pub fn new(pid: i32) -> Result<Self> {
        Ok(Self {
            pid: Pid::from_raw(pid).with_context(|| format!("{pid} is no pid"))?,
        })
    }

    /// Its pid.
    pub fn pid(self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Its path in the cgroup v2 hierarchy, starting with `/`.
    ///
    /// # Errors
    ///
    /// If the process is gone or in no such hierarchy.
    pub fn cgroup(self) -> Result<String> {
        let text = fs::read_to_string(self.proc("cgroup"))
            .with_context(|| format!("cgroup of {}", self.pid()))?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"));
        Ok(path
            .with_context(|| format!("no cgroup v2 in `{text}`"))?
            .to_owned())
    }

    /// Lets a workload that is ready begin, or one that is done end.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn go(self) -> Result<()> {
        kill_process(self.pid, Signal::USR1).with_context(|| format!("signal {}", self.pid()))
    }

    /// Waits until the workload is ready and asleep.
    ///
    /// # Errors
    ///
    /// If it does not get there.
    pub fn wait_ready(self) -> Result<()> {
        self.wait_asleep("np-ready")
    }

    /// Waits until the workload is done and asleep, so that its counters in /proc stand still.
    ///
    /// # Errors
    ///
    /// If it does not get there.
    pub fn wait_done(self) -> Result<()> {
        self.wait_asleep("np-done")
    }

    fn wait_asleep(self, name: &str) -> Result<()> {
        let expected = format!("({name}) S");
        poll(
            2 * LONG,
            &format!("process {} to become {name}", self.pid()),
            || match fs::read_to_string(self.proc("stat")) {
                Ok(stat) => stat.contains(&expected).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            },
        )?
        .with_context(|| format!("process {} ended before it became {name}", self.pid()))
    }

    fn proc(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid()))
    }
}
