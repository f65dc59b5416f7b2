//! Every metric family that nodeprobe knows is shown by an agent that has something to show.

use std::{io::Write as _, net::TcpStream};

use anyhow::Result;
use probe_user::metrics::{Desc, Kind, families};
use tests::{
    cgroup::Cgroup, guard::run, lock::alone, nodeprobe::Agent, scrape::Scrape,
    skip::unless_available, wait::LONG, workload::Workload,
};

/// Everything that is off by default is on. Nobody follows cgroups, so that some have no name.
const CONFIG: &str = "program_stats = true\nprobes.lifecycle.enabled = \"never\"\n\
                      probes.syscalls.per_syscall_latency = true\nlimits.naming_deadline = \"0s\"\n";

/// What shows only where something happened on the network, where there are policies, or an API server is asked; see `traffic`,
/// `policy` and `kubernetes`.
fn is_elsewhere(desc: &Desc) -> bool {
    let name = desc.name.trim_start_matches("nodeprobe_");
    let starts = [
        "tcp_",
        "flow_",
        "dns_",
        "policy_",
        "event_log_",
        "kubernetes_",
        "pod_",
    ];
    starts.iter().any(|start| name.starts_with(start))
        || name.ends_with("_packet_drops_total")
        // Only where a runtime does not respond: see `names`.
        || name == "unnamed_containers"
}

/// The name of one of its samples.
fn sample_of(desc: &Desc) -> String {
    match desc.kind {
        Kind::Histogram(_) => format!("{}_bucket", desc.name),
        _ => desc.name.to_owned(),
    }
}

#[test]
fn every_family_is_there_with_its_labels() -> Result<()> {
    let _alone = alone();
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("families")) else {
        return Ok(());
    };
    let agent = Agent::start(CONFIG)?;
    let workload = Workload::new()?;
    // Two that want the same CPU.
    let cpu = run(&mut std::process::Command::new("nproc"))?.parse::<usize>()? - 1;
    let hog = workload.start(&cgroup, &format!("spin --seconds 300 --cpu {cpu}"))?;
    workload.run(&cgroup, &format!("victim --seconds 2 --cpu {cpu}"))?;
    drop(hog);
    workload.run(&cgroup, "syscalls --calls 1000 --errors 10")?;
    let missing = |scrape: &Scrape| -> Vec<_> {
        let shown = families::ALL
            .iter()
            .filter(|desc| !is_elsewhere(desc))
            .map(|desc| sample_of(desc));
        shown.filter(|name| !scrape.has(name)).collect()
    };
    let scrape = agent.scrape_until(LONG, |scrape| {
        // Gone before anybody could ask for its name; and a connection that breaks off.
        let stranger = Cgroup::new("stranger");
        stranger
            .and_then(|stranger| workload.run(&stranger, "syscalls --calls 10"))
            .ok();
        if let Ok(mut half) = TcpStream::connect(agent.address()) {
            half.write_all(b"GET /met").ok();
        }
        missing(scrape).is_empty()
    })?;
    assert_eq!(missing(&scrape), Vec::<String>::new());
    for desc in families::ALL.iter().filter(|desc| !is_elsewhere(desc)) {
        let name = sample_of(desc);
        let whole = |labels: &[&str]| {
            let mut samples = scrape.with(&name, &[]);
            samples.all(|sample| {
                labels
                    .iter()
                    .all(|label| sample.labels.contains_key(*label))
            })
        };
        assert!(whole(desc.labels), "{name} has {:?}", desc.labels);
    }
    Ok(())
}
