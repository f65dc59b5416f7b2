//! `tcpdump`, which counts packets at an interface.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread::JoinHandle,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::{
    guard::{self, Process},
    netns::Netns,
    skip::program,
    wait::LONG,
};

/// A capture that goes on until it is finished.
#[derive(Debug)]
pub struct Capture {
    process: Process,
    said: JoinHandle<String>,
    filter: String,
}

impl Capture {
    /// Counts from now on what matches a filter at an interface of a namespace.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] if there is no tcpdump; else if it does not start.
    pub fn start(netns: &Netns, interface: &str, filter: &str) -> Result<Self> {
        let mut command = netns.within(Command::new(program("tcpdump", "tcpdump")?));
        // Headers alone, into a buffer of 16 MiB, and the user that may read what it opened.
        command
            .args(["-i", interface, "-n", "-s", "64", "-B", "16384"])
            .args(["-Z", "root", "-w", "/dev/null", filter])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let mut stderr = BufReader::new(process.take_stderr().context("it is piped")?);
        let mut said = String::new();
        while !said.contains("listening on") {
            let read = stderr.read_line(&mut said).context("read from tcpdump")?;
            ensure!(read > 0, "tcpdump `{filter}` ended: {said}");
        }
        let said = guard::collect(stderr);
        Ok(Self {
            process,
            said,
            filter: filter.to_owned(),
        })
    }

    /// Ends the capture and returns how many packets matched: those that it had no room for are among them.
    ///
    /// # Errors
    ///
    /// If it does not say so.
    pub fn finish(mut self) -> Result<u64> {
        self.process.signal(Signal::INT)?;
        self.process.wait(LONG)?;
        let said = self.said.join().unwrap_or_default();
        let count = said
            .lines()
            .find_map(|line| line.strip_suffix(" packets received by filter"))
            .or_else(|| {
                said.lines()
                    .find_map(|line| line.strip_suffix(" packet received by filter"))
            });
        count
            .and_then(|count| count.trim().parse().ok())
            .with_context(|| format!("tcpdump `{}` said: {said}", self.filter))
    }
}
