//! Checks of what asks for metrics: alerts, the dashboard and the queries of the documentation.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{Desc, Kind, families::ALL};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Pages for people, by their path.
fn pages() -> Vec<String> {
    let folder = fs::read_dir(root().join("docs")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md"));
    let mut pages: Vec<String> = pages.map(|name| format!("docs/{name}")).collect();
    pages.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    pages
}

/// Words that look like names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let begins = |word: &&str| {
        let metric = word.strip_prefix("nodeprobe_");
        // `nodeprobe_0` begins the name of a package.
        metric.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    words.filter(begins).collect()
}

/// The family that a sample belongs to.
fn family(sample: &str) -> Option<&'static Desc> {
    ALL.iter().copied().find(|desc| {
        let histogram = matches!(desc.kind, Kind::Histogram(_));
        let suffix = sample.strip_prefix(desc.name);
        suffix == Some("") || histogram && matches!(suffix, Some("_bucket" | "_sum" | "_count"))
    })
}

/// Queries of a dashboard or a file of rules, one a line, and blocks of a page.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let path = "deploy/dashboards/nodeprobe.json";
    let dashboard: serde_json::Value = serde_json::from_str(&read(path)).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            found.push((format!("{path}: {}", panel["title"]), query.to_owned()));
        }
    }
    for (alert, text) in alerts() {
        let (_, query) = text.split_once("expr: ").unwrap();
        let (query, _) = query.split_once("labels:\n").unwrap();
        found.push((alert, query.to_owned()));
    }
    for page in pages() {
        for block in read(&page).split("```promql\n").skip(1) {
            let (query, _) = block.split_once("```").unwrap();
            found.push((page.clone(), query.to_owned()));
        }
    }
    found
}

/// The alerts by name, with their text.
fn alerts() -> Vec<(String, String)> {
    let rules = read("deploy/alerts/nodeprobe.rules.yaml");
    let alerts = rules.split("- alert: ").skip(1).map(|alert| {
        let (name, text) = alert.split_once('\n').unwrap();
        (name.to_owned(), text.to_owned())
    });
    alerts.collect()
}

#[test]
fn queries_and_pages_name_metrics_that_exist() {
    let queries = queries();
    assert!(
        queries.len() > 40,
        "only {} queries are found",
        queries.len()
    );
    for (place, query) in &queries {
        for name in names(query) {
            assert!(family(name).is_some(), "{place} asks for {name}");
        }
    }
    for page in pages() {
        for name in names(&read(&page)) {
            // `nodeprobe_flow_…` stands for all families that begin so.
            let begins = |desc: &&&Desc| desc.name.starts_with(name);
            let known =
                family(name).is_some() || name.ends_with('_') && ALL.iter().any(|d| begins(&d));
            assert!(known, "{page} names {name}");
        }
    }
}

/// Prometheus keeps either the classic or the native form of a histogram.
#[test]
fn queries_of_histograms_ask_for_both_forms() {
    let mut histograms = 0;
    for (place, query) in queries() {
        let names = names(&query);
        for name in &names {
            let Some(desc) = family(name).filter(|d| matches!(d.kind, Kind::Histogram(_))) else {
                continue;
            };
            histograms += 1;
            let classic =
                ["_bucket", "_sum", "_count"].map(|suffix| format!("{}{suffix}", desc.name));
            let has_classic = classic.iter().any(|it| names.contains(it.as_str()));
            assert!(
                has_classic
                    && names.contains(desc.name)
                    && query.split_whitespace().any(|word| word == "or"),
                "{place} asks for one form of {} only: {query}",
                desc.name
            );
        }
    }
    assert!(histograms >= 10, "only {histograms} histograms are found");
}

/// Containers of two hosts can have the same name.
#[test]
fn queries_of_containers_keep_the_node() {
    for (place, query) in queries() {
        for group in query.split("by (").skip(1) {
            let (labels, _) = group.split_once(')').unwrap();
            let labels: Vec<&str> = labels.split(", ").collect();
            assert!(
                !labels.contains(&"container") || labels.contains(&"node"),
                "{place} merges nodes: {query}"
            );
        }
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let page = read("docs/runbooks.md");
    let sections: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, sections);
    for (name, text) in &alerts {
        let url = format!("runbook_url: docs/runbooks.md#{}\n", name.to_lowercase());
        assert!(text.contains(&url), "{name} lacks `{}`", url.trim());
    }
}
