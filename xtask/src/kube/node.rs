//! The node: a network namespace, a mount namespace, and somebody who holds both.
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{daemons, records::Record, state::State};
use crate::process::Cmd;

/// Network namespace of the node.
pub(super) const NETWORK: &str = "np-kube";
/// Network namespace of somebody who is not of the cluster.
const OUTSIDE: &str = "np-kube-ext";
/// Address of the node; the other one is next to it.
pub(super) const ADDRESS: &str = "172.30.0.1";
/// What the holder is noted as.
const HOLDER: &str = "holder";
/// Folders that mounts need on the machine, and that go again if they are empty.
const MOUNT_POINTS: &[&str] = &["/var/lib/kubelet", "/var/log/pods", "/var/log/containers"];
const SCRIPT: &str = include_str!("node.sh");
/// The controllers that children of the root of cgroup v2 have.
const CONTROLLERS: &str = "/sys/fs/cgroup/unified/cgroup.subtree_control";

/// Makes it.
pub(super) fn make(state: &State) -> Result<Record> {
    // runc switches controllers on at the root of the machine.
    if let Ok(controllers) = fs::read_to_string(CONTROLLERS) {
        state.write("controllers", &controllers)?;
    }
    network()?;
    let script = state.write("node.sh", SCRIPT)?;
    let log = fs::File::create(state.log(HOLDER))?;
    let child = Command::new("setsid")
        .args(["nsenter", &format!("--net=/run/netns/{NETWORK}")])
        .args(["unshare", "-m", "--propagation", "private", "sh"])
        .arg(&script)
        .arg(state.root())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start whoever holds the node")?;
    let record = Record::of(child.id())?;
    record.write(state, HOLDER)?;
    let ready = state.path("ready");
    daemons::wait_for("the node's mounts", &state.log(HOLDER), || ready.exists())?;
    Ok(record)
}

/// Whoever holds the node, if it is there.
pub(super) fn holder(state: &State) -> Option<Record> {
    Record::read(state, HOLDER)
}

/// Refuses a machine that is a node already: the cgroups of its pods would be taken for ours.
pub(super) fn ensure_no_other() -> Result<()> {
    if let Some(other) = cgroups().next() {
        bail!(
            "{} is there: a kubelet runs on this machine, or another test has left it; this cluster is for machines without one",
            other.display()
        );
    }
    Ok(())
}

/// The folders of pods, of each hierarchy.
fn cgroups() -> impl Iterator<Item = PathBuf> {
    let below = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    std::iter::once(PathBuf::from("/sys/fs/cgroup"))
        .chain(below.map(|entry| entry.path()))
        .map(|root| root.join("kubepods"))
        .filter(|path| path.is_dir())
}

fn network() -> Result<()> {
    let ip = |arguments: &str| Cmd::new("ip").args(arguments.split(' ')).read().map(drop);
    for name in [NETWORK, OUTSIDE] {
        ip(&format!("netns add {name}"))?;
    }
    ip(&format!(
        "link add np0 netns {NETWORK} type veth peer name np0 netns {OUTSIDE}"
    ))?;
    for (name, last) in [(NETWORK, 1), (OUTSIDE, 2)] {
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} addr add 172.30.0.{last}/24 dev np0"))?;
        ip(&format!("-n {name} link set np0 up"))?;
    }
    // Clouds are asked for their metadata here.
    ip(&format!(
        "-n {NETWORK} route add unreachable 169.254.169.254"
    ))?;
    ip(&format!("-n {NETWORK} route add default via 172.30.0.2"))?;
    ip(&format!(
        "-n {OUTSIDE} route add 10.96.0.0/16 via {ADDRESS}"
    ))
}

/// Takes away the namespaces and all that was made on the machine for them. Everything of it may be gone already.
pub(super) fn remove(state: &State) -> Result<()> {
    if let Some(holder) = holder(state) {
        holder.stop()?;
    }
    for name in [NETWORK, OUTSIDE] {
        if Path::new("/run/netns").join(name).exists() {
            Cmd::new("ip").args(["netns", "del", name]).read()?;
        }
    }
    // Without a state there was no cluster of ours, and the cgroups are somebody else's.
    if state.exists() {
        remove_cgroups();
        restore_controllers(state);
    }
    for folder in MOUNT_POINTS {
        // Not empty means: somebody else's.
        _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// Of all hierarchies those that the kubelet made, the innermost first.
fn remove_cgroups() {
    for root in cgroups() {
        for _ in 0..50 {
            remove_tree(&root);
            if !root.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn remove_tree(folder: &Path) {
    let children: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    for child in children {
        remove_tree(&child);
    }
    // One with a process that has not ended yet is tried again.
    _ = fs::remove_dir(folder);
}

fn restore_controllers(state: &State) {
    let Ok(before) = fs::read_to_string(state.path("controllers")) else {
        return;
    };
    let now = fs::read_to_string(CONTROLLERS).unwrap_or_default();
    let added = now
        .split_whitespace()
        .filter(|it| !before.split_whitespace().any(|was| was == *it));
    for controller in added {
        _ = fs::write(CONTROLLERS, format!("-{controller}"));
    }
}
