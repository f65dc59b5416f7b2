//! A thousand cgroups in each of which something has run.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cgroup::Cgroup,
    nodeprobe::Agent,
    wait::{LONG, poll},
};

/// How many.
pub const CGROUPS: usize = 1_000;

/// Moves itself into the cgroup that it is given, makes a few different calls there, and ends.
const TASK: &str = "echo 0 > \"$1/cgroup.procs\" && read -r line < /proc/self/comm \
    && : > /dev/null && cd / && umask 22";

/// The cgroups. They are removed with this value.
#[derive(Debug)]
pub struct Thousand {
    #[expect(dead_code, reason = "removes what is below it when it is dropped")]
    parent: Cgroup,
}

impl Thousand {
    /// Configuration of an agent that has shares for all of them.
    pub const CONFIG: &str = "[limits]\nseries = 300000\n";

    /// Makes them and runs a short task in each.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::Unavailable) without cgroup v2; else if one cannot be made, or a task
    /// fails.
    pub fn make() -> Result<Self> {
        let parent = Cgroup::new("thousand")?;
        for number in 0..CGROUPS {
            let folder = parent.folder().join(format!("bench-{number:04}.service"));
            // Not a guard each: the parent's removes all.
            std::fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
            visit(&folder)?;
        }
        Ok(Self { parent })
    }

    /// Waits until every one of them has a series.
    ///
    /// # Errors
    ///
    /// If one does not get any.
    pub fn wait_until_shown(agent: &Agent) -> Result<()> {
        poll(LONG, "series of all cgroups", || {
            let text = agent.get("/metrics").ok()?.text();
            let shown =
                (0..CGROUPS).filter(|number| text.contains(&format!("bench-{number:04}.service")));
            (shown.count() == CGROUPS).then_some(())
        })
    }
}

fn visit(folder: &Path) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", TASK, "sh"])
        .arg(folder)
        .stdin(Stdio::null())
        .status()
        .context("run a short task")?;
    ensure!(
        status.success(),
        "a task in {} failed: {status}",
        folder.display()
    );
    Ok(())
}
