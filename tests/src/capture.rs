//! `tcpdump`, which counts or shows packets at an interface.

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
    shown: JoinHandle<String>,
    filter: String,
}

/// The flags that `tcpdump` showed of the segments from a port to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Port of the sender.
    pub from: u16,
    /// Port of the receiver.
    pub to: u16,
    /// `S` for SYN, `F` for FIN, `R` for RST, `P` for PSH, `.` for ACK.
    pub flags: String,
}

impl Capture {
    /// Counts from now on what matches a filter at an interface of a namespace.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] if there is no tcpdump; else if it does not start.
    pub fn start(netns: &Netns, interface: &str, filter: &str) -> Result<Self> {
        Self::run(netns, interface, &["-w", "/dev/null"], filter)
    }

    /// Shows from now on what matches a filter, for [`Self::segments`].
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn show(netns: &Netns, interface: &str, filter: &str) -> Result<Self> {
        // Numbers alone, no time, and each packet as it comes.
        Self::run(netns, interface, &["-nn", "-t", "-U", "-l"], filter)
    }

    fn run(netns: &Netns, interface: &str, form: &[&str], filter: &str) -> Result<Self> {
        let mut command = netns.within(Command::new(program("tcpdump", "tcpdump")?));
        // Headers alone, into a buffer of 16 MiB, and the user that may read what it opened.
        command
            .args(["-i", interface, "-n", "-s", "128", "-B", "16384"])
            .args(["-Z", "root"])
            .args(form)
            .arg(filter)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let shown = guard::collect(process.take_stdout().context("it is piped")?);
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
            shown,
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

    /// Ends the capture and returns the segments of TCP that it showed.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn segments(mut self) -> Result<Vec<Segment>> {
        self.process.signal(Signal::INT)?;
        self.process.wait(LONG)?;
        let shown = self.shown.join().unwrap_or_default();
        Ok(shown.lines().filter_map(segment).collect())
    }
}

/// Reads a line such as `IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S.], seq 1, …`.
fn segment(line: &str) -> Option<Segment> {
    let (ends, rest) = line.split_once(": Flags [")?;
    let (from, to) = ends.split_once(" > ")?;
    let port = |end: &str| end.rsplit_once('.')?.1.parse().ok();
    Some(Segment {
        from: port(from)?,
        to: port(to)?,
        flags: rest.split_once(']')?.0.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_a_segment() {
        let line = "IP 10.77.0.1.40000 > 10.77.0.2.7101: Flags [S.E], seq 1, length 0";
        let read = Segment {
            from: 40_000,
            to: 7101,
            flags: "S.E".into(),
        };
        assert_eq!(segment(line), Some(read));
        assert_eq!(segment("ARP, Request who-has 10.77.0.2"), None);
    }
}
