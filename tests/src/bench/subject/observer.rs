//! Tools that account for packets in other ways: captures of the interface, and bpftrace.
//!
//! Each runs in the network of the benchmark and in a cgroup of its own, whose processor time is that of the tool with
//! all its processes.

mod outcome;

use std::{
    fs::{self, File},
    process::Stdio,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use aya::sys::{Stats, enable_stats};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    bench::{
        net::{Network, network},
        programs,
        workload::packets,
    },
    cgroup::Cgroup,
    guard::Process,
    isolate::Isolate as _,
    skip::program,
    wait::{LONG, poll},
};

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Observer {
    /// `tcpdump` that writes to nowhere.
    Tcpdump,
    /// `softflowd`: NetFlow.
    Softflowd,
    /// `argus`: its own records.
    Argus,
    /// `pmacctd` with its table in memory.
    Pmacctd,
    /// `bpftrace`: packets and bytes by addresses and ports.
    Bpftrace,
}

/// The headers are those of IPv4 without options. Each packet passes both hooks.
const BPFTRACE: &str = "tracepoint:net:net_dev_queue, tracepoint:net:netif_receive_skb { \
    $skb = (struct sk_buff *)args->skbaddr; \
    $ip = (struct iphdr *)($skb->head + $skb->network_header); \
    $udp = (struct udphdr *)($skb->head + $skb->network_header + 20); \
    @packets[$ip->saddr, $ip->daddr, $udp->source, $udp->dest, $ip->protocol] = count(); \
    @bytes[$ip->saddr, $ip->daddr, $udp->source, $udp->dest, $ip->protocol] = sum(args->len); }";

const PMACCTD: &str = "daemonize: false\npcap_interface: lo\nplugins: memory[all]\n\
    imt_path[all]: pipe\naggregate[all]: src_host,dst_host,src_port,dst_port,proto\n";

impl Observer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcpdump => "tcpdump",
            Self::Softflowd => "softflowd",
            Self::Argus => "argus",
            Self::Pmacctd => "pmacctd",
            Self::Bpftrace => "bpftrace by addresses and ports",
        }
    }

    /// Program, its Debian package, and arguments.
    fn command(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Tcpdump => ("tcpdump", "tcpdump", &["-i", "lo", "-w", "/dev/null"]),
            // Nobody listens where it sends its records.
            Self::Softflowd => (
                "softflowd",
                "softflowd",
                &[
                    "-d",
                    "-i",
                    "lo",
                    "-n",
                    "127.0.0.1:9",
                    "-c",
                    "control",
                    "-p",
                    "pid",
                ],
            ),
            Self::Argus => (
                "argus",
                "argus-server",
                &["-i", "lo", "-w", "records", "-F", "/dev/null"],
            ),
            Self::Pmacctd => ("pmacctd", "pmacct", &["-f", "settings"]),
            Self::Bpftrace => ("bpftrace", "bpftrace", &["-e", BPFTRACE]),
        }
    }

    /// Starts the tool and waits until it observes.
    pub(super) fn start(self) -> Result<Observing> {
        let (name, package, args) = self.command();
        let network = network()?;
        let folder = tempfile::tempdir().context("make a folder")?;
        let cgroup = Cgroup::new("observer")?;
        fs::write(folder.path().join("settings"), PMACCTD).context("write settings")?;
        let output = File::create(folder.path().join("output")).context("make a file")?;
        let mut command = cgroup.command(program(name, package)?);
        command
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(output.try_clone().context("share the file")?)
            .stdout(output);
        let needs_tracefs =
            self == Self::Bpftrace && !fs::exists("/sys/kernel/tracing/events").unwrap_or(false);
        if needs_tracefs {
            command.with_tracefs();
        }
        let process = Process::spawn(network.command(&mut command))?;
        let mut observing = Observing {
            observer: self,
            process,
            folder,
            cgroup,
        };
        observing.wait_ready(network)?;
        Ok(observing)
    }
}

/// A tool that observes. Dropping it kills it with all its processes.
pub(super) struct Observing {
    observer: Observer,
    process: Process,
    folder: TempDir,
    cgroup: Cgroup,
}

impl Observing {
    pub(super) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Processor time of all its processes.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let path = self.cgroup.folder().join("cpu.stat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let used = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))
            .and_then(|used| used.parse().ok());
        Ok(Duration::from_micros(
            used.context("cpu.stat has no usage")?,
        ))
    }

    /// Lets it work off what it has received, ends it and answers how many packets it counted.
    pub(super) fn stop(mut self) -> Result<u64> {
        self.settle()?;
        if let Some(packets) = self.observer.ask(&self.folder)? {
            return Ok(packets);
        }
        // It may have ended by itself; then there is nothing to ask.
        self.process.signal(Signal::INT).ok();
        self.process.wait(Duration::from_secs(20)).ok();
        self.observer.read(&self.folder)
    }

    fn wait_ready(&mut self, network: &'static Network) -> Result<()> {
        let pid = self.process.pid();
        let _statistics = enable_stats(Stats::RunTime).context("enable BPF statistics")?;
        let ready = poll(LONG, "a tool to observe", || {
            let ready = match self.observer {
                Observer::Bpftrace => {
                    network.run(send_one).ok();
                    programs::have_run(pid, 2).unwrap_or(false)
                }
                _ => captures(pid),
            };
            (ready || self.process.has_ended()).then_some(ready)
        })?;
        if !ready {
            let output = fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
            bail!("{} ended: {}", self.observer.name(), output.trim());
        }
        Ok(())
    }

    /// Waits until it has nothing left to do, or for some seconds.
    fn settle(&self) -> Result<()> {
        const PAUSE: Duration = Duration::from_millis(50);
        for _ in 0..100 {
            let before = self.cpu_time()?;
            thread::sleep(PAUSE);
            if self.cpu_time()?.saturating_sub(before) < PAUSE / 20 {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a process, which is in a network where nobody else captures, captures the first interface.
fn captures(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/net/packet")).unwrap_or_default();
    // Interface and whether it runs are the fifth and sixth.
    text.lines().any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(4..6) == Some(&["1", "1"])
    })
}

/// A packet between other addresses than those of the workload.
fn send_one() -> Result<()> {
    let any = (std::net::Ipv4Addr::LOCALHOST, 0);
    let socket = std::net::UdpSocket::bind(any).context("bind")?;
    let address = socket.local_addr().context("ask for the port")?;
    socket
        .send_to(&[0; packets::PAYLOAD], address)
        .context("send")?;
    Ok(())
}
