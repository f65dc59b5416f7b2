//! A one-shot tool: `nodeprobe syscalls`, `runqlat`, `offcpu`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;

use crate::{
    guard::{self, Process},
    report::Report,
    wait::LONG,
};

/// A tool that measures. Dropping it kills it.
#[derive(Debug)]
pub struct Tool {
    process: Process,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Tool {
    /// Starts a tool with `-o json` and returns once it measures.
    ///
    /// # Errors
    ///
    /// If it ends before, or does not get there; with what it said.
    pub fn attach(args: &str) -> Result<Self> {
        Self::attach_with(args, super::command())
    }

    /// As [`Self::attach`], by a command that was prepared otherwise.
    ///
    /// # Errors
    ///
    /// As [`Self::attach`].
    pub fn attach_with(args: &str, command: Command) -> Result<Self> {
        Self::attach_as(&format!("{args} -o json"), command)
    }

    /// As [`Self::attach_with`], in the form of output that the arguments name.
    ///
    /// # Errors
    ///
    /// As [`Self::attach`].
    pub fn attach_as(args: &str, mut command: Command) -> Result<Self> {
        command.args(args.split_whitespace());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let stdout = process.take_stdout().map(guard::collect);
        let (attached, stderr) = watch(process.take_stderr().context("standard error is piped")?);
        let mut tool = Self {
            process,
            stdout,
            stderr: Some(stderr),
        };
        match attached.recv_timeout(2 * LONG) {
            Ok(()) => Ok(tool),
            Err(reason) => {
                // It may have ended already.
                tool.process.signal(Signal::KILL).ok();
                let said = tool.stderr();
                let reason = if reason == RecvTimeoutError::Timeout {
                    "did not attach"
                } else {
                    "ended"
                };
                bail!("`nodeprobe {args}` {reason}:\n{said}")
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Ends the measurement by SIGINT and returns the report.
    ///
    /// # Errors
    ///
    /// If the tool fails or prints something else.
    pub fn finish(self) -> Result<Report> {
        self.process.signal(Signal::INT)?;
        self.report()
    }

    /// Ends the measurement by SIGINT and returns what it printed.
    ///
    /// # Errors
    ///
    /// If the tool fails.
    pub fn end(self) -> Result<String> {
        self.process.signal(Signal::INT)?;
        self.output()
    }

    /// Waits until the tool's time is over and returns the report.
    ///
    /// # Errors
    ///
    /// If the tool fails or prints something else.
    pub fn report(self) -> Result<Report> {
        let stdout = self.output()?;
        serde_json::from_str(&stdout).with_context(|| format!("read `{stdout}`"))
    }

    /// Waits until the tool's time is over and returns what it printed.
    ///
    /// # Errors
    ///
    /// If the tool fails.
    pub fn output(self) -> Result<String> {
        self.output_with(0)
    }

    /// Ends the measurement by SIGINT and returns what it printed, where the tool is to end with this code.
    ///
    /// # Errors
    ///
    /// If it ends otherwise.
    pub fn end_with(self, code: i32) -> Result<String> {
        self.process.signal(Signal::INT)?;
        self.output_with(code)
    }

    fn output_with(mut self, code: i32) -> Result<String> {
        let status: ExitStatus = self.process.wait(2 * LONG)?;
        let stdout = self
            .stdout
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        let stderr = self.stderr();
        ensure!(
            status.code() == Some(code),
            "the tool ended with {status}:\n{stderr}"
        );
        ensure!(!stderr.contains("panicked"), "the tool panicked:\n{stderr}");
        Ok(stdout)
    }

    fn stderr(&mut self) -> String {
        self.stderr
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

/// Collects standard error and reports the line that says that the tool measures.
fn watch(pipe: std::process::ChildStderr) -> (Receiver<()>, JoinHandle<String>) {
    let (sender, receiver) = sync_channel(1);
    let thread = thread::spawn(move || {
        let mut text = String::new();
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if line.contains("attached") {
                // Nobody listens any more: then nobody waits either.
                sender.try_send(()).ok();
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    });
    (receiver, thread)
}

/// Runs nodeprobe to its end, whatever its exit code, and returns the code with both outputs.
///
/// # Errors
///
/// If it ends by a signal or takes longer than three minutes.
pub fn run(args: &str, mut command: Command) -> Result<(i32, String, String)> {
    let output = guard::output(command.args(args.split_whitespace()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output
        .status
        .code()
        .with_context(|| format!("{}: {}", output.status, text(&output.stderr)))?;
    Ok((code, text(&output.stdout), text(&output.stderr)))
}
