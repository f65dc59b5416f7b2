//! `nodeprobe agent` in the background.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    guard::Process,
    http::{self, Response},
    scrape::Scrape,
    wait::{LONG, poll},
};

/// What Prometheus asks for when it wants the plain text form.
const TEXT: &str = "text/plain;version=0.0.4";

/// A running agent. Dropping it kills it.
#[derive(Debug)]
pub struct Agent {
    address: SocketAddr,
    process: Process,
    folder: TempDir,
}

impl Agent {
    /// Starts an agent with this configuration and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If it does not get ready; with its log.
    pub fn start(config: &str) -> Result<Self> {
        Self::start_with(config, super::command())
    }

    /// As [`Self::start`], by a command that was prepared otherwise.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with(config: &str, command: Command) -> Result<Self> {
        Self::spawn(config, command)?.ready()
    }

    /// As [`Self::start_with`], with a pipe as its standard output, which the caller reads or not.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_piped(config: &str, command: Command) -> Result<(Self, ChildStdout)> {
        let address = free_port()?;
        let listen = address.to_string();
        let args = ["--listen", listen.as_str()];
        let mut agent = Self::spawn_to(address, config, command, &args, Stdio::piped())?;
        let pipe = agent.process.take_stdout().context("it is piped")?;
        Ok((agent.ready()?, pipe))
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn ready(mut self) -> Result<Self> {
        let ready = poll(2 * LONG, "the agent to get ready", || {
            let ready =
                http::get(self.address, "/readyz", "*/*").is_ok_and(|answer| answer.status == 200);
            (ready || self.process.has_ended()).then_some(ready)
        });
        match ready {
            Ok(true) => Ok(self),
            Ok(false) => bail!("the agent ended:\n{}", self.said()),
            Err(error) => Err(error.context(format!("log:\n{}", self.said()))),
        }
    }

    /// Starts an agent and does not wait.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(config: &str, command: Command) -> Result<Self> {
        Self::spawn_with_args(config, command, &[])
    }

    /// As [`Self::spawn`], with more arguments.
    ///
    /// # Errors
    ///
    /// As [`Self::spawn`].
    pub fn spawn_with_args(config: &str, command: Command, args: &[&str]) -> Result<Self> {
        let address = free_port()?;
        let listen = address.to_string();
        Self::spawn_at(
            address,
            config,
            command,
            &[&["--listen", &listen], args].concat(),
        )
    }

    /// As [`Self::spawn`], where the configuration, the command or the arguments make it listen at
    /// this address.
    ///
    /// # Errors
    ///
    /// As [`Self::spawn`].
    pub fn spawn_at(
        address: SocketAddr,
        config: &str,
        command: Command,
        args: &[&str],
    ) -> Result<Self> {
        Self::spawn_to(address, config, command, args, Stdio::null())
    }

    fn spawn_to(
        address: SocketAddr,
        config: &str,
        mut command: Command,
        args: &[&str],
        stdout: Stdio,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder")?;
        let file = folder.path().join("nodeprobe.toml");
        fs::write(&file, config).context("write the configuration")?;
        let log = File::create(folder.path().join("log")).context("make the log")?;
        command.args(["agent", "--config"]).arg(&file).args(args);
        let process = Process::spawn(command.stdin(Stdio::null()).stdout(stdout).stderr(log))?;
        Ok(Self {
            address,
            process,
            folder,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its configuration file, to be changed before a reload.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("nodeprobe.toml")
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Gets a path.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn get(&self, path: &str) -> Result<Response> {
        http::get(self.address, path, TEXT)
    }

    /// Scrapes the metrics.
    ///
    /// # Errors
    ///
    /// If the answer is not 200 or no metrics text.
    pub fn scrape(&self) -> Result<Scrape> {
        Self::parsed(&self.get("/metrics")?)
    }

    fn parsed(answer: &Response) -> Result<Scrape> {
        ensure!(
            answer.status == 200,
            "/metrics answered {}: {}",
            answer.status,
            answer.text()
        );
        Scrape::parse(&answer.text())
    }

    /// Scrapes until the metrics are as expected, and returns the last scrape whether they are or
    /// not: an assertion on that tells more than a time-out.
    ///
    /// # Errors
    ///
    /// If a scrape fails. That the metrics are not ready is no failure before the time is over: a busy host says so.
    pub fn scrape_until(
        &self,
        limit: Duration,
        mut expected: impl FnMut(&Scrape) -> bool,
    ) -> Result<Scrape> {
        let begin = Instant::now();
        loop {
            let answer = self.get("/metrics")?;
            let late = begin.elapsed() > limit;
            if answer.status != 503 || late {
                let scrape = Self::parsed(&answer)?;
                if expected(&scrape) || late {
                    return Ok(scrape);
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// If the agent is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Asks it to end by SIGTERM and returns how it ended, how long that took, and its log.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn terminate(mut self) -> Result<(ExitStatus, Duration, String)> {
        let begin = Instant::now();
        self.signal(Signal::TERM)?;
        let status = self.process.wait(LONG)?;
        let took = begin.elapsed();
        Ok((status, took, self.said()))
    }

    /// Waits for it to end by itself and returns how, with its log.
    ///
    /// # Errors
    ///
    /// If it does not end.
    pub fn wait(mut self) -> Result<(ExitStatus, String)> {
        let status = self.process.wait(2 * LONG)?;
        Ok((status, self.said()))
    }

    /// Its log so far.
    pub fn said(&self) -> String {
        // It may be in the middle of a character.
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Waits until its log holds `text` for the `times`-th time.
    ///
    /// # Errors
    ///
    /// If it does not get there; with the log.
    pub fn wait_until_said(&self, text: &str, times: usize) -> Result<()> {
        let what = format!("`{text}` in the log");
        poll(LONG, &what, || {
            (self.said().matches(text).count() >= times).then_some(())
        })
        .with_context(|| self.said())
    }
}

/// A port of the loopback interface that was free a moment ago.
///
/// # Errors
///
/// If there is none.
pub fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    listener.local_addr().context("ask for the port")
}
