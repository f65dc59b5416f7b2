//! What scenarios share: programs in containers, the tools, and their output as JSON.

use std::{
    process::{Command, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    guard::{self, Process},
    nodeprobe::{self, Tool},
    skip::program,
    wait::LONG,
};

/// A program of a Debian package, to be run in a cgroup.
pub(crate) fn within(cgroup: &Cgroup, name: &str, package: &str, args: &str) -> Result<Command> {
    let mut command = cgroup.command(program(name, package)?);
    command.args(args.split_whitespace());
    Ok(command)
}

/// A program that runs beside the tool. Dropping it kills it.
pub(crate) struct Running {
    process: Process,
    output: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it, with both outputs collected.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(command)?;
        let output = process.take_stdout().map(guard::collect);
        // Read, so that it never blocks.
        process.take_stderr().map(guard::collect);
        Ok(Self { process, output })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Waits until it has ended, whatever its exit status, and returns its standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        self.process.wait(LONG)?;
        let output = self.output.take().map(JoinHandle::join);
        Ok(output.and_then(Result::ok).unwrap_or_default())
    }
}

/// Runs a program to its end, whatever its exit status, and returns both outputs.
pub(crate) fn run_any(command: &mut Command) -> Result<(String, String)> {
    let output = guard::output(command)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&output.stdout), text(&output.stderr)))
}

/// A tool that prints JSON.
pub(crate) fn attach(args: &str) -> Result<Tool> {
    Tool::attach_as(&format!("{args} -o json"), nodeprobe::command())
}

/// Ends a tool and reads the rows of its report.
pub(crate) fn rows(tool: Tool) -> Result<Vec<Value>> {
    let text = tool.end()?;
    let report: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let rows = report["rows"].as_array();
    Ok(rows.with_context(|| format!("no rows in {text}"))?.clone())
}

/// The sum of a field over rows, missing ones as 0.
pub(crate) fn sum(rows: &[Value], field: &str) -> u64 {
    rows.iter().filter_map(|row| row[field].as_u64()).sum()
}

/// Whether a number is another one within a share of that.
pub(crate) fn within_share(share: f64, number: f64, truth: f64) -> bool {
    (number - truth).abs() <= share * truth
}

/// Lets a problem go on for a while that the tool measures.
pub(crate) fn for_a_while(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// The first number in a text after a word.
pub(crate) fn number_after(text: &str, word: &str) -> Result<f64> {
    let (_, rest) = text
        .split_once(word)
        .with_context(|| format!("no `{word}` in `{text}`"))?;
    let number: String = rest
        .trim_start_matches([' ', ':', '\t', '='])
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    ensure!(!number.is_empty(), "no number after `{word}` in `{text}`");
    Ok(number.parse()?)
}
