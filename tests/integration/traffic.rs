//! What an agent shows and writes of traffic of known size.

use std::path::Path;

use anyhow::{Context as _, Result};
use probe_user::flows::{Reader, Record};
use tests::{
    cgroup::Cgroup,
    lock::alone,
    nodeprobe::{Agent, free_port},
    scrape::Scrape,
    skip::{skip, unless_available},
    wait::LONG,
    workload::Workload,
};

const CONNECTIONS: u32 = 40;

#[test]
fn an_agent_shows_and_logs_every_connection_and_every_byte() -> Result<()> {
    let _alone = alone();
    let Some(server) = unless_available("cgroup", Cgroup::new("shop")) else {
        return Ok(());
    };
    let client = Cgroup::new("buyer")?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("flows.ndjson");
    let config = format!(
        "flows.log = \"{}\"\nflows.sweep = \"1s\"\nlimits.naming_deadline = \"0s\"\n",
        log.display()
    );
    let agent = Agent::start(&config)?;
    if !has_probe(&agent.scrape()?, "tcp") {
        skip(
            "tcp",
            "the probe is not attached here; `nodeprobe doctor` says why",
        );
        return Ok(());
    }
    let (port, closed) = (free_port()?.port(), free_port()?.port());
    let workload = Workload::new()?;
    let serving = workload.ready(
        &server,
        &format!("serve --port {port} --connections {CONNECTIONS} --answer 700"),
    )?;
    serving.task.go()?;
    workload.run(
        &client,
        &format!("connect --port {port} --connections {CONNECTIONS} --send 3000"),
    )?;
    workload.run(&client, &format!("refused --port {closed} --connections 3"))?;

    let (client_path, server_path) = (client.path(), server.path());
    let bytes = |scrape: &Scrape, container: &str, direction: &str| {
        let labels = [
            ("container", container),
            ("transport", "tcp"),
            ("direction", direction),
        ];
        scrape.sum("nodeprobe_flow_bytes_total", &labels)
    };
    let sent = f64::from(CONNECTIONS * 3000);
    let answered = f64::from(CONNECTIONS * 700);
    let complete = |scrape: &Scrape| {
        // What an open connection has done so far may be shown before its end is.
        [(&client_path, "egress"), (&server_path, "ingress")]
            .iter()
            .all(|(path, direction)| bytes(scrape, path, direction) >= sent)
            && [(&server_path, "egress"), (&client_path, "ingress")]
                .iter()
                .all(|(path, direction)| bytes(scrape, path, direction) >= answered)
    };
    let scrape = agent.scrape_until(LONG, complete)?;
    assert_eq!(bytes(&scrape, &client_path, "egress"), sent);
    assert_eq!(bytes(&scrape, &client_path, "ingress"), answered);
    assert_eq!(bytes(&scrape, &server_path, "egress"), answered);
    assert_eq!(bytes(&scrape, &server_path, "ingress"), sent);
    let of = |name: &str, container: &str, more: &[(&str, &str)]| {
        let labels: Vec<_> = [("container", container)]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        scrape.sum(name, &labels)
    };
    let count = f64::from(CONNECTIONS);
    assert_eq!(
        of("nodeprobe_tcp_connects_total", &client_path, &[]),
        count + 3.0
    );
    let refused = [("reason", "refused")];
    assert_eq!(
        of(
            "nodeprobe_tcp_failed_connects_total",
            &client_path,
            &refused
        ),
        3.0
    );
    for (container, direction) in [(&client_path, "egress"), (&server_path, "ingress")] {
        let labels = [("direction", direction)];
        assert_eq!(
            of("nodeprobe_tcp_connections_total", container, &labels),
            count
        );
    }
    assert_eq!(
        of(
            "nodeprobe_tcp_connect_duration_seconds_count",
            &client_path,
            &[]
        ),
        count
    );

    // A loss that is left out over the budget would be silent.
    for probe in ["syscalls", "scheduler", "flows", "tcp"] {
        let stream = [("stream", probe)];
        let shown = scrape.with("nodeprobe_records_lost_total", &stream).count();
        assert!(shown > 10, "losses of {probe}");
    }
    assert_eq!(scrape.sum("nodeprobe_series_overflow_total", &[]), 0.0);

    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    let records = read(&log)?;
    let ends = |container: &str| {
        let mine = records.iter().filter(|record| match record {
            Record::Flow(flow) => {
                let flow = serde_json::to_value(flow).unwrap_or_default();
                let side = if flow["direction"] == "egress" {
                    "src"
                } else {
                    "dst"
                };
                flow["event"] == "end" && flow[format!("{side}_container")] == container
            }
            _ => false,
        });
        mine.count()
    };
    assert_eq!(ends(&client_path), CONNECTIONS as usize + 3);
    assert_eq!(ends(&server_path), CONNECTIONS as usize);
    Ok(())
}

/// All records; a broken one is a failure.
fn read(log: &Path) -> Result<Vec<Record>> {
    Reader::open(log)
        .with_context(|| format!("open {}", log.display()))?
        .map(|record| record.map_err(|fault| anyhow::anyhow!("{fault}")))
        .collect()
}

/// Whether an agent has the probe.
pub(crate) fn has_probe(scrape: &Scrape, probe: &str) -> bool {
    ["on", "degraded"].iter().any(|state| {
        scrape.sum(
            "nodeprobe_feature_state",
            &[("probe", probe), ("state", state)],
        ) == 1.0
    })
}
