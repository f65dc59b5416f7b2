//! Alerts, the dashboard and the documented queries against a real Prometheus, by both forms of scrapes.
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use probe_common::hist::Histogram;
use probe_user::{
    http::{Backend, Dropped, ProbeStatus},
    metrics::{Budgets, Desc, Format, Kind, SharedRegistry, families::ALL},
};
use tests::{
    prometheus::{Prometheus, Scrape},
    skip::{program, unless_available},
    wait::LONG,
};

use crate::prometheus::Target;

/// Every family with one or two series, whose counters grow with each scrape.
struct Growing(SharedRegistry);

impl Growing {
    fn new() -> Self {
        Self(SharedRegistry::new("node-1", Budgets::default()))
    }

    fn grow(&self) {
        let mut registry = self.0.lock();
        // Within one bucket of both forms, and above the thresholds of the alerts.
        let mut half_a_second = Histogram::EMPTY;
        half_a_second.observe(600_000_000);
        for desc in ALL {
            for which in 0..2 {
                let labels: Vec<&str> = desc
                    .labels
                    .iter()
                    .map(|it| value(desc, it, which))
                    .collect();
                match desc.kind {
                    Kind::Counter => registry.add(desc, &labels, 10),
                    Kind::SecondsCounter => registry.add_ns(desc, &labels, 1_000_000_000),
                    Kind::Histogram(_) => registry.observe(desc, &labels, &half_a_second),
                    Kind::Gauge | Kind::Info => registry.set(desc, &labels, 1.0),
                }
            }
        }
    }
}

/// A value that the queries select.
fn value(desc: &Desc, label: &str, which: usize) -> &'static str {
    match label {
        // The pods of the containers, so that they can be joined.
        "namespace" | "pod" if desc.per_container() || desc.kind == Kind::Info => {
            ["", "shop"][which]
        }
        "container" => ["web", "cart"][which],
        "direction" => ["egress", "ingress"][which],
        "rcode" => ["~timeout", "NOERROR"][which],
        "state" => ["failed", "on"][which],
        _ => ["first", "second"][which],
    }
}

impl Backend for Growing {
    fn render(&self, format: Format) -> Result<Bytes, String> {
        self.grow();
        let rendered = self.0.render(format, Instant::now());
        rendered.map(Bytes::from).map_err(|fault| fault.to_string())
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        Vec::new()
    }

    fn answered(&self, _status: u16) {}

    fn dropped(&self, _reason: Dropped) {}
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Queries of the dashboard and the pages, with what Grafana fills in.
fn queries() -> Vec<String> {
    let mut found = Vec::new();
    let dashboard = fs::read(repository().join("deploy/dashboards/nodeprobe.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    for page in ["docs/metrics.md", "docs/kubernetes.md"] {
        let page = fs::read_to_string(repository().join(page)).unwrap();
        for block in page.split("```promql\n").skip(1) {
            found.push(block.split_once("```").unwrap().0.to_owned());
        }
    }
    found
}

/// A query over the short time of a test, for everything.
fn short(query: &str) -> String {
    let mut query = query.to_owned();
    for range in ["[$__rate_interval]", "[5m]", "[10m]", "[1h]"] {
        query = query.replace(range, "[15s]");
    }
    for variable in ["$node", "$namespace", "$pod", "$container", "$instance"] {
        query = query.replace(variable, ".*");
    }
    query
}

/// What a query yields: values by labels, without those that differ between the two servers.
fn answer(prometheus: &Prometheus, query: &str) -> BTreeMap<String, f64> {
    let samples = prometheus.query(query).unwrap();
    let labelled = samples.into_iter().map(|mut sample| {
        sample.labels.remove("instance");
        (format!("{:?}", sample.labels), sample.value)
    });
    labelled.collect()
}

#[test]
fn dashboard_alerts_and_documented_queries_yield_the_same_by_both_scrapes() {
    let rules = repository().join("deploy/alerts/nodeprobe.rules.yaml");
    let rig = || {
        let forms = [Scrape::Text, Scrape::Protobuf];
        forms.map(|form| {
            let target = Target::serve(Growing::new());
            let server = Prometheus::start_with_rules(target.address, form, &[&rules])?;
            anyhow::Ok((target, server))
        })
    };
    let [text, protobuf] = rig();
    let (Some((_text, mut classic)), Some((_protobuf, mut native))) = (
        unless_available("prometheus", text),
        unless_available("prometheus", protobuf),
    ) else {
        return;
    };
    classic.wait_for_scrape().unwrap();
    native.wait_for_scrape().unwrap();
    let alerts = classic.alerts().unwrap();
    assert!(alerts.len() >= 16, "{} alerts", alerts.len());
    let queries = queries();
    assert!(queries.len() >= 25, "{} queries", queries.len());
    let all = queries
        .into_iter()
        .chain(alerts.into_iter().map(|(_, query)| query));
    let (mut histograms, mut empty) = (0, Vec::new());
    for query in all.map(|query| short(&query)) {
        let begin = Instant::now();
        // Rates need two scrapes, and the servers do not scrape at the same moment.
        let (by_text, by_protobuf) = loop {
            let both = (answer(&classic, &query), answer(&native, &query));
            if !both.0.is_empty() && both.0.keys().eq(both.1.keys()) {
                break both;
            }
            // What compares with a number may have no answer, and has none by both then.
            let compares = query.contains('>') || query.contains("== ");
            if begin.elapsed()
                > if compares {
                    Duration::from_secs(10)
                } else {
                    LONG
                }
            {
                break both;
            }
            std::thread::sleep(Duration::from_millis(300));
        };
        assert!(
            by_text.keys().eq(by_protobuf.keys()),
            "{query} yields {by_text:?} by text, {by_protobuf:?} by protobuf"
        );
        if query.contains("_bucket") {
            histograms += 1;
            assert!(!by_text.is_empty(), "{query} yields nothing");
            for (labels, value) in &by_text {
                let other = by_protobuf[labels];
                assert!(
                    (0.5..=1.0).contains(value) && (0.5..=1.0).contains(&other),
                    "{query} for {labels}: {value} by text, {other} by protobuf"
                );
            }
        }
        if by_text.is_empty() {
            empty.push(query);
        }
    }
    assert!(histograms >= 5, "only {histograms} quantiles were compared");
    // No series of this test is zero, none is a time of more than five minutes, and no container is folded.
    empty.retain(|query| {
        !["== 0", "== bool 0", "> 300", "{state=\"folded\"}"]
            .iter()
            .any(|it| query.contains(it))
    });
    assert!(empty.is_empty(), "no answer to {empty:#?}");
}

#[test]
fn promtool_passes_the_tests_of_the_alerts() {
    let Some(promtool) = unless_available("promtool", program("promtool", "prometheus")) else {
        return;
    };
    let tests = repository().join("deploy/alerts/nodeprobe.rules.test.yaml");
    let output = Command::new(promtool)
        .args(["test", "rules"])
        .arg(tests)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
