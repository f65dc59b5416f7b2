//! Processes that end with their guard.

use std::{
    io::{ErrorKind, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{LONG, poll};

/// Starts a command. An executable that was just written may still be open in a child that another test is about to start,
/// which has not come to its own executable yet.
fn start(command: &mut Command) -> Result<Child> {
    let started = poll(
        LONG,
        "an executable that nobody writes to",
        || match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => None,
            other => Some(other),
        },
    );
    started
        .and_then(|child| Ok(child?))
        .with_context(|| format!("start {command:?}"))
}

/// A child process. Dropping it kills it and waits for it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// What the guard tries before it kills: a daemon cleans up on SIGTERM.
    farewell: Option<Signal>,
}

impl Process {
    /// Starts a command. The child is also killed if this thread dies without dropping the guard.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                Ok(())
            });
        }
        let child = start(command)?;
        Ok(Self {
            child,
            farewell: None,
        })
    }

    /// Starts a daemon, which is asked to end by SIGTERM and killed only if it does not.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn daemon(command: &mut Command) -> Result<Self> {
        let child = start(command)?;
        Ok(Self {
            child,
            farewell: Some(Signal::TERM),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Takes standard output, where it was piped.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Takes standard error, where it was piped.
    pub fn take_stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("signal {}", self.pid()))
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// If it does not come within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of process {}", self.pid());
        poll(limit, &what, || self.child.try_wait().transpose())?.context("wait")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(signal) = self.farewell
            && self.signal(signal).is_ok()
            && self.wait(Duration::from_secs(20)).is_ok()
        {
            return;
        }
        // Errors mean that it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Gives a command the highest ordinary priority, so that whatever else the machine does matters
/// less to it than its equals.
#[must_use]
pub fn urgent(mut command: Command) -> Command {
    // SAFETY: setpriority is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            rustix::process::nice(-20)?;
            Ok(())
        });
    }
    command
}

/// Collects a pipe in the background, so that the writer never blocks.
pub fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is to show.
        pipe.read_to_end(&mut bytes).ok();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Runs a command to its end and returns its standard output without the last line break.
///
/// # Errors
///
/// If it cannot be started, fails, or takes longer than three minutes; with its standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs a command to its end, whatever its exit status.
///
/// # Errors
///
/// If it cannot be started or takes longer than three minutes.
pub fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = Process::spawn(command)?;
    let stdout = process.take_stdout().map(collect);
    let stderr = process.take_stderr().map(collect);
    let status = process.wait(LONG).with_context(|| format!("{command:?}"))?;
    let text = |thread: Option<JoinHandle<String>>| {
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
            .into_bytes()
    };
    Ok(Output {
        status,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}
