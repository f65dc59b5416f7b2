//! Network namespaces that stand for machines: a client, a router that translates addresses, and what is behind it.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    Unavailable,
    cgroup::Cgroup,
    guard::{Process, run},
    isolate::Isolate as _,
    skip::program,
    wait::{LONG, poll},
    workload::Workload,
};

/// A network namespace. It goes when this is dropped, and with it its interfaces and rules.
#[derive(Debug)]
pub struct Namespace {
    keeper: Process,
    ip: PathBuf,
}

impl Namespace {
    /// An empty one with its loopback up.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] without the program `ip`; else if it cannot be made.
    pub fn new(workload: &Workload) -> Result<Self> {
        let ip = program("ip", "iproute2")?;
        let keeper = Process::daemon(
            Command::new(workload.path())
                .arg("pause")
                .with_own_network(),
        )?;
        let namespace = Self { keeper, ip };
        // It has left ours before it became another program.
        let program = std::fs::canonicalize(workload.path())?;
        let executable = format!("/proc/{}/exe", namespace.pid());
        poll(LONG, "a network namespace", || {
            let runs = std::fs::read_link(&executable).ok()?;
            (runs == program).then_some(())
        })?;
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// A process in it.
    pub fn pid(&self) -> i32 {
        self.keeper.pid()
    }

    /// A handle of it.
    ///
    /// # Errors
    ///
    /// If its process is gone.
    pub fn handle(&self) -> Result<OwnedFd> {
        let path = format!("/proc/{}/ns/net", self.pid());
        Ok(File::open(&path)
            .with_context(|| format!("open {path}"))?
            .into())
    }

    /// A command that runs in it.
    ///
    /// # Errors
    ///
    /// As [`Self::handle`].
    pub fn inside(&self, mut command: Command) -> Result<Command> {
        command.with_network(self.handle()?);
        Ok(command)
    }

    /// A workload that runs in it and in a cgroup.
    ///
    /// # Errors
    ///
    /// As [`Self::handle`].
    pub fn workload(&self, workload: &Workload, cgroup: &Cgroup) -> Result<Command> {
        self.inside(cgroup.command(workload.path()))
    }

    /// Runs a program in it and returns what it says.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn run(&self, program: &Path, args: &str) -> Result<String> {
        let mut command = Command::new(program);
        command.args(args.split_whitespace());
        run(&mut self.inside(command)?)
    }

    fn ip(&self, args: &str) -> Result<String> {
        self.run(&self.ip, args)
    }

    /// Joins it with another one by a pair of interfaces with these addresses and the length of their prefix.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if the kernel has no such interfaces; else if one of them cannot be set up.
    pub fn join(&self, other: &Self, ours: &str, theirs: &str) -> Result<()> {
        let (here, there) = (interface(other), interface(self));
        let pid = other.pid();
        self.ip(&format!(
            "link add {here} type veth peer name {there} netns {pid}"
        ))
        .map_err(|error| Unavailable(format!("no pair of interfaces can be made: {error:#}")))?;
        self.ip(&format!("link set {here} up"))?;
        other.ip(&format!("link set {there} up"))?;
        self.address(other, ours, theirs)
    }

    /// More addresses for the interfaces of two that were joined.
    ///
    /// # Errors
    ///
    /// If they are not to be had.
    pub fn address(&self, other: &Self, ours: &str, theirs: &str) -> Result<()> {
        for (namespace, interface, address) in [
            (self, interface(other), ours),
            (other, interface(self), theirs),
        ] {
            // An address of IPv6 is of use at once: nobody else can have it here.
            let at_once = if address.contains(':') { "nodad" } else { "" };
            namespace.ip(&format!("address add {address} dev {interface} {at_once}"))?;
        }
        Ok(())
    }

    /// Sends what is for elsewhere to this address.
    ///
    /// # Errors
    ///
    /// If it cannot be reached.
    pub fn route_by(&self, gateway: &str) -> Result<()> {
        let family = if gateway.contains(':') { "-6" } else { "-4" };
        self.ip(&format!("{family} route add default via {gateway}"))
            .map(drop)
    }

    /// Passes on packets of others.
    ///
    /// # Errors
    ///
    /// If the kernel does not allow that.
    pub fn forward(&self) -> Result<()> {
        let switches = [
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sys/net/ipv6/conf/all/forwarding",
        ];
        for switch in switches {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", &format!("echo 1 > {switch}")]);
            run(&mut self.inside(command)?)?;
        }
        Ok(())
    }

    /// Sets rules of nftables.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] without nftables, or if this kernel cannot translate addresses; then with what it says.
    pub fn rules(&self, rules: &str) -> Result<()> {
        let nft = program("nft", "nftables")?;
        let file = tempfile::NamedTempFile::new().context("make a file")?;
        std::fs::write(file.path(), rules).context("write rules")?;
        let set = self.run(&nft, &format!("-f {}", file.path().display()));
        set.map(drop).map_err(|error| {
            let said = format!("{error:#}");
            // What nft says of a kernel without a family, a chain type or an expression.
            let lacks = ["not supported", "No such file or directory"];
            if lacks.iter().any(|text| said.contains(text)) {
                Unavailable(format!("this kernel translates no addresses: {said}")).into()
            } else {
                error
            }
        })
    }
}

/// Name of the interface that leads to a namespace.
fn interface(to: &Namespace) -> String {
    format!("np{}", to.pid())
}
