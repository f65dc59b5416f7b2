//! `syscount` and `runqlat` of libbpf-tools, which count the same things in another way.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    thread::JoinHandle,
};

use anyhow::{Context as _, Result};

use crate::{
    guard::{self, Process},
    isolate::Isolate as _,
    skip::{Unavailable, program},
    wait::LONG,
};

/// A peer that measures. Dropping it kills it.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Peer {
    /// Starts `syscount` for all processes.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if it is not installed; else if it cannot be started.
    pub fn syscount(seconds: u32) -> Result<Self> {
        Self::start("syscount", &["-d", &seconds.to_string(), "-T", "1000"])
    }

    /// Starts `runqlat` for all processes.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if it is not installed; else if it cannot be started.
    pub fn runqlat(seconds: u32) -> Result<Self> {
        Self::start("runqlat", &[&seconds.to_string(), "1"])
    }

    fn start(name: &str, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(program(name, "libbpf-tools")?);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // They attach by tracefs, which minimal systems do not mount.
        let mut process = Process::spawn(command.with_tracefs())?;
        let stdout = process.take_stdout().map(guard::collect);
        let stderr = process.take_stderr().map(guard::collect);
        Ok(Self {
            process,
            stdout,
            stderr,
        })
    }

    /// Waits for its end and returns what it printed.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if it cannot measure on this kernel.
    pub fn output(mut self) -> Result<String> {
        let status = self.process.wait(2 * LONG)?;
        let text = |thread: &mut Option<JoinHandle<String>>| {
            thread
                .take()
                .and_then(|thread| thread.join().ok())
                .unwrap_or_default()
        };
        let (stdout, stderr) = (text(&mut self.stdout), text(&mut self.stderr));
        if !status.success() {
            return Err(
                Unavailable(format!("the peer does not work here: {}", stderr.trim())).into(),
            );
        }
        Ok(stdout)
    }
}

/// Calls by name, from what `syscount` printed.
///
/// # Errors
///
/// If that is no such table.
pub fn syscount_table(text: &str) -> Result<BTreeMap<String, u64>> {
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("SYSCALL"))
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let table: BTreeMap<_, _> = rows
        .map(|line| {
            // Calls that its table lacks are named `[unknown: 439]`.
            let (name, count) = line.rsplit_once(char::is_whitespace)?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        })
        .collect::<Option<_>>()
        .with_context(|| format!("`{text}` is no table"))?;
    anyhow::ensure!(!table.is_empty(), "`{text}` has no rows");
    Ok(table)
}

/// Counts by upper bound in microseconds, exclusive, from what `runqlat` printed.
///
/// # Errors
///
/// If that is no histogram.
pub fn runqlat_histogram(text: &str) -> Result<Vec<(u64, u64)>> {
    let rows: Vec<_> = text.lines().filter(|line| line.contains(" -> ")).collect();
    anyhow::ensure!(!rows.is_empty(), "`{text}` has no buckets");
    rows.iter()
        .map(|line| {
            let (_, rest) = line.split_once("->")?;
            let mut fields = rest.split(':').map(str::trim);
            let upper: u64 = fields.next()?.parse().ok()?;
            let count = fields.next()?.split_whitespace().next()?.parse().ok()?;
            Some((upper + 1, count))
        })
        .collect::<Option<_>>()
        .with_context(|| format!("`{text}` is no histogram"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_syscount_is_read() {
        let text = "Tracing syscalls, printing top 500... Ctrl+C to quit.\n[00:38:43]\n\
                    SYSCALL                   COUNT\nlseek                     18350\nioprio_get   2001\n\n";
        let table = syscount_table(text).unwrap();
        assert_eq!(table["ioprio_get"], 2001);
        assert_eq!(table.len(), 2);
        assert!(syscount_table("nothing").is_err());
    }

    #[test]
    fn the_histogram_of_runqlat_is_read() {
        let text = "Tracing run queue latency... Hit Ctrl-C to end.\n\n     usecs               : count    distribution\n\
                    \x20        0 -> 1          : 0        |    |\n     1024 -> 2047       : 13        |**  |\n";
        assert_eq!(runqlat_histogram(text).unwrap(), [(2, 0), (2048, 13)]);
        assert!(runqlat_histogram("usecs : count").is_err());
    }
}
