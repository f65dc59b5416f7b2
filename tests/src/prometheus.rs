//! A real Prometheus server beside the tests, and `promtool`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use crate::skip::program;

/// The Debian package of both programs.
const PACKAGE: &str = "prometheus";

/// How long the server may take for anything. Generous: machines of a test farm are slow.
const DEADLINE: Duration = Duration::from_secs(120);

/// Which form of the metrics the server asks for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scrape {
    /// OpenMetrics text.
    Text,
    /// Protobuf, with native histograms.
    Protobuf,
}

/// One element of the answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels, the name among them as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Value; `NaN` and infinities as Prometheus writes them.
    pub value: f64,
}

/// A server with a data directory of its own. It ends with this value.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Prometheus {
    /// Starts a server on a free loopback port that scrapes `target` every second.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::Unavailable) if it is not installed; if it does not come up, with its log.
    pub fn start(target: SocketAddr, scrape: Scrape) -> Result<Self> {
        Self::start_with_rules(target, scrape, &[])
    }

    /// As [`Self::start`], with files of rules.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub fn start_with_rules(target: SocketAddr, scrape: Scrape, rules: &[&Path]) -> Result<Self> {
        let directory = tempfile::tempdir().context("make a data directory")?;
        let config = directory.path().join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
                 scrape_configs: [{{ job_name: nodeprobe, honor_labels: true, \
                 static_configs: [{{ targets: ['{target}'] }}] }}]\n\
                 rule_files: {}\n",
                serde_json::to_string(rules)?
            ),
        )?;
        // Somebody else may take the port before the server does; it then fails to start, and says so.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let log = File::create(directory.path().join("log"))?;
        let mut command = Command::new(program("prometheus", PACKAGE)?);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            directory.path().join("data").display()
        ));
        command.arg(format!("--web.listen-address={address}"));
        if scrape == Scrape::Protobuf {
            command.arg("--enable-feature=native-histograms");
        }
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn().context("start prometheus")?;
        let mut server = Self {
            child,
            address,
            directory,
        };
        server.wait("ready", |server| {
            Ok(get(server.address, "/-/ready", "*/*")?.status == 200)
        })?;
        Ok(server)
    }

    /// Waits until the target was scraped successfully.
    ///
    /// # Errors
    ///
    /// If that does not happen; with what Prometheus says of the target.
    pub fn wait_for_scrape(&mut self) -> Result<()> {
        let scraped = self.wait("done with a scrape", |server| {
            Ok(server
                .query("up == 1 and scrape_samples_scraped > 0")?
                .len()
                == 1)
        });
        scraped.with_context(|| match get(self.address, "/api/v1/targets", "*/*") {
            Ok(targets) => targets.text(),
            Err(fault) => format!("{fault:#}"),
        })
    }

    /// Names and queries of the alerts that the server has read.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub fn alerts(&self) -> Result<Vec<(String, String)>> {
        let answer = get(self.address, "/api/v1/rules?type=alert", "*/*")?;
        let json: serde_json::Value =
            serde_json::from_slice(&answer.body).context("read the answer")?;
        let groups = json["data"]["groups"].as_array().context("no groups")?;
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().into_iter().flatten());
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        rules
            .map(|rule| Some((text(&rule["name"])?, text(&rule["query"])?)))
            .collect::<Option<_>>()
            .context("a rule has no name or query")
    }

    /// Runs an instant query that yields a vector of numbers, or a scalar.
    ///
    /// # Errors
    ///
    /// If Prometheus refuses the query.
    pub fn query(&self, promql: &str) -> Result<Vec<Sample>> {
        let answer = get(
            self.address,
            &format!("/api/v1/query?query={}", escape(promql)),
            "*/*",
        )?;
        let json: serde_json::Value =
            serde_json::from_slice(&answer.body).context("read the answer")?;
        ensure!(json["status"] == "success", "{promql}: {json}");
        let data = &json["data"];
        if data["resultType"] == "scalar" {
            return Ok(vec![Sample {
                labels: BTreeMap::new(),
                value: number(&data["result"])?,
            }]);
        }
        let result = data["result"].as_array().context("no result")?;
        result
            .iter()
            .map(|one| {
                let labels = serde_json::from_value(one["metric"].clone())?;
                Ok(Sample {
                    labels,
                    value: number(&one["value"])?,
                })
            })
            .collect()
    }

    /// Runs a query that yields exactly one number.
    ///
    /// # Errors
    ///
    /// If it yields another number of numbers.
    pub fn value(&self, promql: &str) -> Result<f64> {
        let samples = self.query(promql)?;
        let [Sample { value, .. }] = samples.as_slice() else {
            bail!("{promql} yields {} samples", samples.len());
        };
        Ok(*value)
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        loop {
            let outcome = done(self);
            if matches!(outcome, Ok(true)) {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > end {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                bail!("prometheus is not {what} ({outcome:?}, exit {ended:?}); its log:\n{log}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Lets `promtool check metrics` judge text in format 0.0.4.
///
/// # Errors
///
/// [`Unavailable`](crate::Unavailable) if it is not installed, or with all that it finds.
pub fn promtool_check(text: &[u8]) -> Result<()> {
    // A file, because a pipe would have to be written and read at the same time.
    let directory = tempfile::tempdir()?;
    let input: PathBuf = directory.path().join("metrics");
    fs::write(&input, text)?;
    let mut command = Command::new(program("promtool", PACKAGE)?);
    command
        .args(["check", "metrics"])
        .stdin(File::open(&input)?);
    let output = command.output().context("run promtool")?;
    let findings = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success() && findings.is_empty(),
        "{}",
        String::from_utf8_lossy(&findings)
    );
    Ok(())
}

/// The answer to an HTTP request.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head as sent.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends a GET request and reads the answer.
///
/// # Errors
///
/// If the server does not answer with HTTP.
pub fn get(address: SocketAddr, path: &str, accept: &str) -> Result<Answer> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    // 1.0, so that the server neither keeps the connection nor sends chunks.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nhost: {address}\r\naccept: {accept}\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .context("the answer has no end of head")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .context("the answer has no status")?;
    Ok(Answer {
        status,
        head,
        body: answer.split_off(end + 4),
    })
}

/// Escapes everything that is not plainly allowed in a query string.
fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    });
    escaped.collect()
}

/// The second half of a `[time, "value"]` pair.
fn number(pair: &serde_json::Value) -> Result<f64> {
    let text = pair[1]
        .as_str()
        .with_context(|| format!("no number in {pair}"))?;
    text.parse().with_context(|| format!("{text} is no number"))
}
