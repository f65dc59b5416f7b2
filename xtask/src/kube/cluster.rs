//! Start and end of a cluster.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{
    binaries::Binaries,
    config, daemons, node,
    pki::{self, kubeconfig_of},
    records::Record,
    state::State,
};
use crate::{
    process::{Cmd, find},
    progress::Step,
};

/// A cluster that runs.
pub(super) struct Cluster {
    state: State,
    holder: Record,
}

impl Cluster {
    /// Starts one. What an attempt leaves that fails is removed.
    pub(super) fn up(binaries: &Binaries, images: &[PathBuf]) -> Result<Self> {
        let state = State::place();
        if state.exists() {
            bail!(
                "{} is there: a cluster runs, or was not removed; `cargo xtask kube down` does",
                state.root().display()
            );
        }
        node::ensure_no_other()?;
        let step = Step::start("start a cluster");
        let started = Self::start(state, binaries, images);
        match started {
            Ok(cluster) => {
                step.done();
                Ok(cluster)
            }
            Err(error) => {
                if let Err(more) = down() {
                    eprintln!("xtask: what was started stays: {more:#}");
                }
                Err(error)
            }
        }
    }

    fn start(state: State, binaries: &Binaries, images: &[PathBuf]) -> Result<Self> {
        state.make()?;
        pki::make(&state.path("pki"))?;
        state.write("cni/10-np.conflist", &config::network())?;
        state.write("containerd.toml", &config::containerd(&state))?;
        state.write("kubelet.yaml", &config::kubelet(&state))?;
        state.write("audit.yaml", config::AUDIT)?;
        let holder = node::make(&state)?;
        let cluster = Self { state, holder };
        let start = |name| daemons::start(&cluster.state, holder, binaries, name);
        start("etcd")?;
        start("containerd")?;
        start(daemons::API)?;
        cluster.wait("the API server", daemons::API, &["get", "--raw", "/readyz"])?;
        start("kube-controller-manager")?;
        start("kube-scheduler")?;
        daemons::wait_for("containerd", &cluster.state.log("containerd"), || {
            daemons::on_node(holder, "ctr").arg("version").succeeds()
        })?;
        for image in images {
            cluster.import(image)?;
        }
        start("kubelet")?;
        start("kube-proxy")?;
        let ready = [
            "wait",
            "--for=condition=Ready",
            "node/node1",
            "--timeout=1s",
        ];
        cluster.wait("the node", "kubelet", &ready)?;
        let account = ["get", "serviceaccount", "-n", "default", "default"];
        cluster.wait("the service account", "kube-controller-manager", &account)?;
        Ok(cluster)
    }

    /// The one that was started before.
    pub(super) fn running() -> Result<Self> {
        let state = State::place();
        let holder =
            node::holder(&state).context("no cluster runs; `cargo xtask kube up` starts one")?;
        Ok(Self { state, holder })
    }

    /// Process id of whoever holds the node's namespaces.
    pub(super) fn holder(&self) -> u32 {
        self.holder.pid
    }

    /// Of somebody who may do everything.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        kubeconfig_of(&self.state.path("pki"), "admin")
    }

    /// What the agent asked the API server.
    pub(super) fn audit_log(&self) -> PathBuf {
        self.state.path("audit.log")
    }

    /// A command on the node.
    pub(super) fn command(&self, words: &[String]) -> Cmd {
        let (program, arguments) = words
            .split_first()
            .map_or(("true", words), |(program, rest)| (program.as_str(), rest));
        daemons::on_node(self.holder, program)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
    }

    /// kubectl, with files as they are here.
    pub(super) fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let kubectl = find("kubectl").context("kubectl is not installed")?;
        Cmd::new("ip")
            .args(["netns", "exec", node::NETWORK])
            .arg(kubectl)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .read()
    }

    /// Gives containerd an archive of an image.
    pub(super) fn import(&self, archive: &Path) -> Result<()> {
        daemons::on_node(self.holder, "ctr")
            .args(["-n", "k8s.io", "images", "import"])
            .arg(archive)
            .read()
            .with_context(|| format!("import {}", archive.display()))?;
        Ok(())
    }

    pub(super) fn stop_api(&self) -> Result<()> {
        match Record::read(&self.state, daemons::API) {
            // It would go on for a minute to serve those who watch.
            Some(record) => {
                record.kill();
                Ok(())
            }
            None => bail!("the API server does not run"),
        }
    }

    pub(super) fn start_api(&self) -> Result<()> {
        if Record::read(&self.state, daemons::API).is_some() {
            bail!("the API server runs already");
        }
        daemons::start(&self.state, self.holder, &Binaries::known()?, daemons::API)?;
        self.wait("the API server", daemons::API, &["get", "--raw", "/readyz"])
    }

    fn wait(&self, what: &str, log: &str, question: &[&str]) -> Result<()> {
        daemons::wait_for(what, &self.state.log(log), || {
            self.kubectl(question).is_ok()
        })
    }
}

/// Stops what runs and removes what was made. Does no harm where there is nothing.
pub(super) fn down() -> Result<()> {
    let state = State::place();
    let step = Step::start("remove the cluster");
    for name in daemons::ALL {
        if *name == "containerd" {
            stop_containers(&state);
        }
        if let Some(record) = Record::read(&state, name) {
            record.stop().with_context(|| format!("stop {name}"))?;
        }
    }
    stop_shims(&state);
    node::remove(&state)?;
    if state.exists() {
        fs::remove_dir_all(state.root())
            .with_context(|| format!("remove {}", state.root().display()))?;
    }
    step.done();
    Ok(())
}

/// All processes below the kubelet's cgroup, which are ours: the node's kubelet made it.
fn stop_containers(state: &State) {
    if state.exists() {
        // The file is there from Linux 5.14 on; without it the shims end their containers.
        _ = fs::write("/sys/fs/cgroup/unified/kubepods/cgroup.kill", "1");
        _ = fs::write("/sys/fs/cgroup/kubepods/cgroup.kill", "1");
    }
}

/// Shims outlive containerd. Ours are those in the node's mount namespace.
fn stop_shims(state: &State) {
    let Some(holder) = node::holder(state) else {
        return;
    };
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
    let node = namespace(&holder.pid.to_string());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if pid == holder.pid || node.is_none() || namespace(&pid.to_string()) != node {
            continue;
        }
        if let Ok(record) = Record::of(pid)
            && let Err(error) = record.stop()
        {
            eprintln!("xtask: {error:#}");
        }
    }
}
