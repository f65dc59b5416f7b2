//! On a real cluster: names, policies, outages, updates. Run by `cargo xtask kube test`, one test after the other.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cost;
mod manifests;
mod names;
mod outage;
mod policies;
mod update;

use kube_tests::cluster::{Cluster, manifests};

/// The cluster, or `None` after saying that there is none.
fn cluster() -> Option<Cluster> {
    let cluster = Cluster::of_environment();
    if cluster.is_none() {
        test_skip::skip(
            "kubernetes",
            "no cluster; `cargo xtask kube test` starts one",
        );
    }
    cluster
}

/// Has the workloads of these tests run, and one that the kubelet reads from a file.
fn workloads(cluster: &Cluster) {
    cluster.apply("workloads.yaml").unwrap();
    let file = cluster.path("/var/lib/kubelet/static/on-file.yaml");
    if !file.exists() {
        std::fs::copy(manifests().join("static.yaml"), file).unwrap();
    }
    for deployment in ["server", "client"] {
        let name = format!("deployment/{deployment}");
        let wait = ["rollout", "status", "-n", "shop", "--timeout=180s", &name];
        cluster.kubectl(&wait).unwrap();
    }
}
