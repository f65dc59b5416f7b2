//! An API server that is gone for a minute.

use std::{
    thread,
    time::{Duration, Instant},
};

use kube_tests::{
    agent::Agent,
    cluster::Cluster,
    inventory::Inventory,
    records::{local_side, of},
    wait::within,
};

/// How long it is gone.
const OUTAGE: Duration = Duration::from_secs(60);

#[test]
fn an_outage_of_the_api_server_is_shown_and_nothing_wrong_is_said() {
    let Some(cluster) = super::cluster() else {
        return;
    };
    let agent = Agent::ready(&cluster);
    super::workloads(&cluster);
    // Its pods restart meanwhile, by the kubelet alone.
    let mut inventory = Inventory::default();
    inventory.look(&cluster).unwrap();
    let address = agent.address().unwrap();
    let before = agent.records("flows").unwrap().len();
    let start = Instant::now();
    let outage = Outage::start(&cluster);
    within(60, "the outage is shown", || {
        let failed = agent.sum_at(
            &address,
            "nodeprobe_kubernetes_watch_state",
            &["pods", "failed"],
        )?;
        Ok((failed == 1.0).then_some(()))
    });
    thread::sleep(OUTAGE.saturating_sub(start.elapsed()));
    let stale = agent
        .sum_at(
            &address,
            "nodeprobe_kubernetes_staleness_seconds",
            &["pods"],
        )
        .unwrap();
    assert!(stale >= 20.0, "{stale} s");
    assert_eq!(
        agent
            .sum_at(&address, "nodeprobe_policy_stale", &[])
            .unwrap(),
        1.0
    );
    drop(outage);
    within(120, "it is read again", || {
        let is_stale = agent.sum("nodeprobe_policy_stale", &[])? == 1.0;
        Ok((!is_stale).then_some(()))
    });
    let synced = agent
        .sum("nodeprobe_kubernetes_watch_state", &["pods", "synced"])
        .unwrap();
    assert_eq!(synced, 1.0);
    // What the restarted containers did in the meantime has their names.
    inventory.look(&cluster).unwrap();
    let records = agent.records("flows").unwrap().split_off(before);
    let mut named = 0;
    for record in records.iter().filter(|it| it["type"] == "flow") {
        let side = local_side(record);
        let uid = of(record, side, "pod_uid");
        let Some(pod) = inventory.0.get(uid) else {
            assert_eq!(uid, "", "{record}");
            continue;
        };
        assert_eq!(of(record, side, "pod"), pod.name, "{record}");
        assert_eq!(of(record, side, "workload"), pod.workload.1, "{record}");
        assert!(
            pod.containers
                .values()
                .any(|it| it == of(record, side, "container")),
            "{record}"
        );
        named += 1;
    }
    assert!(named > 50, "{named} records of pods");
}

/// Ends when it is dropped, whatever happened meanwhile.
struct Outage<'a>(&'a Cluster);

impl<'a> Outage<'a> {
    fn start(cluster: &'a Cluster) -> Self {
        cluster.control("stop-api").unwrap();
        Self(cluster)
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.control("start-api") {
            eprintln!("the API server stays away: {error:#}");
        }
    }
}
