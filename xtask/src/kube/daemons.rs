//! Starts the parts of a cluster, each with a log of its own.
use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{binaries::Binaries, config, node, pki::kubeconfig_of, records::Record, state::State};
use crate::process::Cmd;

/// How long a part may take until it answers. The machine may be five times slower than it was when this took seconds.
const PATIENCE: Duration = Duration::from_secs(240);

/// Every part, in the order in which they are stopped.
pub(super) const ALL: &[&str] = &[
    "kubelet",
    "kube-proxy",
    "kube-scheduler",
    "kube-controller-manager",
    "containerd",
    API,
    "etcd",
];
pub(super) const API: &str = "kube-apiserver";

/// Runs in the namespaces of the node.
pub(super) fn on_node(holder: Record, program: impl AsRef<std::ffi::OsStr>) -> Cmd {
    Cmd::new("nsenter")
        .args(["-t", &holder.pid.to_string(), "-m", "-n", "--"])
        .arg(program)
}

/// Starts a part that goes on after this program has ended.
pub(super) fn start(state: &State, holder: Record, binaries: &Binaries, name: &str) -> Result<()> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(state.log(name))?;
    // Each becomes the next one, so that the process keeps its id.
    let child = Cmd::new("setsid")
        .args(["nsenter", "-t", &holder.pid.to_string(), "-m", "-n", "--"])
        .arg(binaries.program(name))
        .args(arguments(state, name))
        // A kubelet looks for clouds by itself otherwise.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .into_inner()
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {name}"))?;
    Record::of(child.id())?.write(state, name)
}

/// Asks until the answer is yes.
pub(super) fn wait_for(what: &str, log: &Path, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        if Instant::now() > deadline {
            let text = fs::read_to_string(log).unwrap_or_default();
            let tail: Vec<_> = text.lines().rev().take(20).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            bail!(
                "{what}: not after {} s; the end of {}:\n{}",
                PATIENCE.as_secs(),
                log.display(),
                tail.join("\n")
            );
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn arguments(state: &State, name: &str) -> Vec<String> {
    let pki = |file: &str| state.path("pki").join(file).display().to_string();
    let user = |user: &str| {
        kubeconfig_of(&state.path("pki"), user)
            .display()
            .to_string()
    };
    let path = |file: &str| state.path(file).display().to_string();
    let address = node::ADDRESS;
    match name {
        "etcd" => vec![
            format!("--data-dir={}", path("etcd/data")),
            "--listen-client-urls=http://127.0.0.1:2379".into(),
            "--advertise-client-urls=http://127.0.0.1:2379".into(),
            "--listen-peer-urls=http://127.0.0.1:2380".into(),
            "--initial-advertise-peer-urls=http://127.0.0.1:2380".into(),
            "--initial-cluster=default=http://127.0.0.1:2380".into(),
        ],
        "containerd" => vec![format!("--config={}", path("containerd.toml"))],
        API => vec![
            "--etcd-servers=http://127.0.0.1:2379".into(),
            "--bind-address=0.0.0.0".into(),
            "--secure-port=6443".into(),
            format!("--advertise-address={address}"),
            format!("--tls-cert-file={}", pki("apiserver.crt")),
            format!("--tls-private-key-file={}", pki("apiserver.key")),
            format!("--client-ca-file={}", pki("ca.crt")),
            format!("--token-auth-file={}", pki("tokens.csv")),
            format!("--service-cluster-ip-range={}", config::SERVICES),
            "--authorization-mode=Node,RBAC".into(),
            "--enable-admission-plugins=NodeRestriction".into(),
            "--allow-privileged=true".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={}", pki("sa.pub")),
            format!("--service-account-signing-key-file={}", pki("sa.key")),
            "--api-audiences=https://kubernetes.default.svc".into(),
            format!(
                "--kubelet-client-certificate={}",
                pki("apiserver-kubelet-client.crt")
            ),
            format!(
                "--kubelet-client-key={}",
                pki("apiserver-kubelet-client.key")
            ),
            format!("--kubelet-certificate-authority={}", pki("ca.crt")),
            "--kubelet-preferred-address-types=InternalIP,Hostname".into(),
            format!("--audit-log-path={}", path("audit.log")),
            format!("--audit-policy-file={}", path("audit.yaml")),
            "--profiling=false".into(),
        ],
        "kube-controller-manager" => vec![
            format!("--kubeconfig={}", user("kcm")),
            format!("--authentication-kubeconfig={}", user("kcm")),
            format!("--authorization-kubeconfig={}", user("kcm")),
            "--bind-address=127.0.0.1".into(),
            "--leader-elect=false".into(),
            "--use-service-account-credentials=true".into(),
            format!("--root-ca-file={}", pki("ca.crt")),
            format!("--service-account-private-key-file={}", pki("sa.key")),
            format!("--cluster-signing-cert-file={}", pki("ca.crt")),
            format!("--cluster-signing-key-file={}", pki("ca.key")),
            format!("--cluster-cidr={}", config::PODS),
        ],
        "kube-scheduler" => vec![
            format!("--kubeconfig={}", user("sched")),
            format!("--authentication-kubeconfig={}", user("sched")),
            format!("--authorization-kubeconfig={}", user("sched")),
            "--bind-address=127.0.0.1".into(),
            "--leader-elect=false".into(),
        ],
        "kubelet" => vec![
            format!("--config={}", path("kubelet.yaml")),
            format!("--kubeconfig={}", user("kubelet")),
            "--hostname-override=node1".into(),
            format!("--node-ip={address}"),
            "--root-dir=/var/lib/kubelet".into(),
            "--cert-dir=/var/lib/kubelet/pki".into(),
            "--container-runtime=remote".into(),
            "--container-runtime-endpoint=unix:///run/containerd/containerd.sock".into(),
            format!("--pod-infra-container-image={}", super::images::PAUSE),
        ],
        // It is not to touch the machine's connection tracking.
        _ => vec![
            format!("--kubeconfig={}", user("proxy")),
            "--hostname-override=node1".into(),
            "--proxy-mode=iptables".into(),
            format!("--cluster-cidr={}", config::PODS),
            "--conntrack-max-per-core=0".into(),
            "--conntrack-min=0".into(),
            "--conntrack-tcp-timeout-established=0".into(),
            "--conntrack-tcp-timeout-close-wait=0".into(),
            "--healthz-bind-address=127.0.0.1:10256".into(),
            "--metrics-bind-address=127.0.0.1:10249".into(),
        ],
    }
}
