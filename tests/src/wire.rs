//! Two cgroups, each with a network namespace of its own, and a wire between them.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    cgroup::Cgroup,
    netns::Netns,
    workload::{Running, Workload},
};

/// Address of the near end.
pub const NEAR: &str = "10.77.0.1";
/// Address of the far end.
pub const FAR: &str = "10.77.0.2";
/// The same of IPv6.
pub const NEAR_V6: &str = "fd77::1";
/// The same of IPv6.
pub const FAR_V6: &str = "fd77::2";

/// Both ends.
#[derive(Debug)]
pub struct Wire {
    /// Where the clients are.
    pub near: End,
    /// Where the servers are.
    pub far: End,
    workload: Workload,
}

/// A cgroup in a network namespace.
#[derive(Debug)]
pub struct End {
    /// The cgroup.
    pub cgroup: Cgroup,
    /// The namespace, with an interface `eth0`.
    pub netns: Netns,
}

impl Wire {
    /// Joins two new ends.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] where this machine lacks something for that.
    pub fn new() -> Result<Self> {
        let near = End::new("near")?;
        let far = End::new("far")?;
        near.netns.join(
            &[&format!("{NEAR}/24"), &format!("{NEAR_V6}/64")],
            &far.netns,
            &[&format!("{FAR}/24"), &format!("{FAR_V6}/64")],
        )?;
        Ok(Self {
            near,
            far,
            workload: Workload::new()?,
        })
    }

    /// Starts a server at the far end and lets it serve.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn serve(&self, args: &str) -> Result<Running> {
        let running = self.workload.ready_as(self.command(&self.far), args)?;
        running.task.go()?;
        Ok(running)
    }

    /// Starts a client at the near end, which holds before and after its work.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn ready(&self, args: &str) -> Result<Running> {
        self.workload.ready_as(self.command(&self.near), args)
    }

    /// Runs a client at the near end to its end, and returns what it says that it did.
    ///
    /// # Errors
    ///
    /// If it fails.
    pub fn run(&self, args: &str) -> Result<Value> {
        let running = self.workload.start_as(self.command(&self.near), args)?;
        running.result().with_context(|| args.to_owned())
    }

    fn command(&self, end: &End) -> Command {
        end.netns.within(end.cgroup.command(self.workload.path()))
    }
}

impl End {
    fn new(label: &str) -> Result<Self> {
        Ok(Self {
            cgroup: Cgroup::new(label)?,
            netns: Netns::new()?,
        })
    }

    /// A counter of the kernel for this namespace, as `nstat` names it: what comes before the colon in `/proc/net/snmp` and
    /// `/proc/net/netstat`, and the column.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or the kernel has none of that name.
    pub fn nstat(&self, name: &str) -> Result<u64> {
        let read = |file: &str| {
            let path = format!("/proc/thread-self/net/{file}");
            self.netns
                .inside(|| std::fs::read_to_string(&path))
                .with_context(|| format!("read {path}"))
        };
        let text = read("snmp")? + &read("netstat")?;
        let lines: Vec<&str> = text.lines().collect();
        let found = lines.chunks_exact(2).find_map(|pair| {
            let (protocol, names) = pair[0].split_once(": ")?;
            let (_, values) = pair[1].split_once(": ")?;
            let column = name.strip_prefix(protocol)?;
            let mut columns = names.split_whitespace().zip(values.split_whitespace());
            let (_, value) = columns.find(|(it, _)| *it == column)?;
            value.parse().ok()
        });
        found.with_context(|| format!("the kernel has no counter {name}"))
    }

    /// Drops what comes in and matches this rule of nftables.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] where there is no `nft`; else if it fails.
    pub fn drop_incoming(&self, rule: &str) -> Result<()> {
        let nft = |args: &str| self.netns.run("nft", "nftables", args);
        nft("add table inet np")?;
        nft("add chain inet np in { type filter hook input priority 0 ; }")?;
        nft(&format!("add rule inet np in {rule} drop")).map(drop)
    }
}
