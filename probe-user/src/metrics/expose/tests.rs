//! Every family in every format, read back.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use probe_common::hist::Histogram;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{
    MetricFamily, MetricType,
};
use prost::Message as _;

use super::*;
use crate::metrics::{Budgets, Desc, Kind, families};

/// A registry with two series of every family, one of them with label values that need escaping.
fn full() -> SharedRegistry {
    let metrics = SharedRegistry::new("node-1", Budgets::default());
    let mut registry = metrics.lock();
    for desc in families::ALL {
        let plain: Vec<String> = desc.labels.iter().map(|l| format!("{l}-1")).collect();
        let awkward: Vec<String> = desc
            .labels
            .iter()
            .map(|l| format!("{l} \"ä\"\\\n{{,}}="))
            .collect();
        for labels in if desc.labels.is_empty() {
            vec![plain]
        } else {
            vec![plain, awkward]
        } {
            fill(
                &mut registry,
                desc,
                &labels.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
    }
    drop(registry);
    metrics
}

fn fill(registry: &mut crate::metrics::Registry, desc: &'static Desc, labels: &[&str]) {
    match desc.kind {
        Kind::Counter => registry.add(desc, labels, 42),
        Kind::SecondsCounter => registry.add_ns(desc, labels, 1_500_000_000),
        Kind::Gauge => registry.set(desc, labels, 2.5),
        Kind::Info => registry.set(desc, labels, 1.0),
        Kind::Histogram(_) => {
            let mut delta = Histogram::EMPTY;
            for ns in [50, 900, 1_000_000, 1_000_000, 60_000_000_000] {
                delta.observe(ns);
            }
            registry.observe(desc, labels, &delta);
        }
    }
}

fn text(metrics: &SharedRegistry, format: Format) -> String {
    String::from_utf8(metrics.render(format, Instant::now()).unwrap()).unwrap()
}

/// Samples by name and label text; fails on any line that is not of the format.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name_end = series.find('{').unwrap_or(series.len());
        assert!(
            series[..name_end]
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{line}"
        );
        assert!(name_end == series.len() || series.ends_with('}'), "{line}");
        let value = value.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
        assert!(
            samples.insert(series.to_owned(), value).is_none(),
            "twice: {line}"
        );
    }
    samples
}

#[test]
fn both_text_forms_show_every_family_and_the_same_samples() {
    let metrics = full();
    let (open, old) = (
        text(&metrics, Format::OpenMetrics),
        text(&metrics, Format::Text),
    );
    assert!(open.ends_with("\n# EOF\n"));
    assert!(!old.contains("# EOF") && !old.contains("# UNIT"));
    let samples = parse(&open);
    assert_eq!(samples, parse(&old));
    assert_eq!(samples.len(), metrics.lock().time_series());
    for desc in families::ALL {
        let (name, help) = (desc.name, desc.help);
        assert!(
            old.contains(&format!("# HELP {name} {help}\n# TYPE {name} ")),
            "{name}"
        );
        let unit = desc.unit.name();
        let stem = name.strip_suffix("_total").unwrap_or(name);
        assert!(
            unit.is_empty() || open.contains(&format!("# UNIT {stem} {unit}\n")),
            "{name}"
        );
        let sample = if matches!(desc.kind, Kind::Histogram(_)) {
            "_count"
        } else {
            ""
        };
        let shown = samples
            .keys()
            .filter(|s| s.split('{').next() == Some(&format!("{name}{sample}")))
            .count();
        let at_least = if desc.labels.is_empty() || desc.budget == 1 {
            1
        } else {
            2
        };
        assert!(shown >= at_least, "{name}: {shown}");
    }
}

#[test]
fn protobuf_has_every_family_with_native_and_classic_buckets() {
    let metrics = full();
    let bytes = metrics.render(Format::Protobuf, Instant::now()).unwrap();
    let mut rest = bytes.as_slice();
    let mut read = BTreeMap::new();
    while !rest.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut rest).unwrap();
        read.insert(family.name.clone(), family);
    }
    assert_eq!(read.len(), families::ALL.len());
    for desc in families::ALL {
        let family = &read[desc.name];
        assert_eq!(
            (family.help.as_str(), family.unit.as_str()),
            (desc.help, desc.unit.name())
        );
        let first = &family.metric[0];
        let node = first
            .label
            .iter()
            .find(|l| l.name == "node")
            .map(|l| l.value.as_str());
        assert_eq!(
            node,
            desc.per_container().then_some("node-1"),
            "{}",
            desc.name
        );
        let Kind::Histogram(bounds) = desc.kind else {
            continue;
        };
        assert_eq!(family.r#type(), MetricType::Histogram);
        let histogram = first.histogram.as_ref().unwrap();
        assert_eq!(
            (
                histogram.schema,
                histogram.zero_count,
                histogram.sample_count
            ),
            (0, 1, 5)
        );
        // 900 ns, 1 ms and a minute: three spans, and the counts sum up.
        assert_eq!(histogram.positive_span.len(), 3);
        assert_eq!(histogram.bucket.len(), bounds.buckets().count() + 1);
        assert_eq!(histogram.bucket.last().map(|b| b.cumulative_count), Some(5));
    }
}

#[test]
fn json_has_every_family_and_exact_values() {
    let metrics = full();
    let json: serde_json::Value =
        serde_json::from_slice(&metrics.render(Format::Json, Instant::now()).unwrap()).unwrap();
    let shown = json.as_array().unwrap();
    let names: Vec<&str> = shown.iter().map(|f| f["name"].as_str().unwrap()).collect();
    let expected: Vec<&str> = families::ALL.iter().map(|d| d.name).collect();
    assert_eq!(names, expected);
    assert_eq!(shown[5]["series"][0]["value_ns"], 1_500_000_000);
    let duration = &shown[2]["series"][0];
    assert_eq!(
        (&duration["count"], &duration["sum_ns"]),
        (&5.into(), &60_002_000_950u64.into())
    );
    assert_eq!(duration["labels"]["node"], "node-1");
    assert_eq!(duration["buckets"][0]["le"], 2f64.powi(-23));
    assert_eq!(duration["buckets"][3], serde_json::json!({"count": 1}));
}

#[test]
fn classic_buckets_count_what_is_at_most_their_bound() {
    let samples = parse(&text(&full(), Format::Text));
    let bucket = |le: &str| {
        let labels =
            "namespace=\"namespace-1\",pod=\"pod-1\",container=\"container-1\",node=\"node-1\"";
        samples[&format!("nodeprobe_sched_runqueue_latency_seconds_bucket{{le=\"{le}\",{labels}}}")]
    };
    assert_eq!(bucket("9.5367431640625e-07"), 2.0);
    assert_eq!(bucket("0.000244140625"), 2.0);
    assert_eq!(bucket("0.0009765625"), 2.0);
    assert_eq!(bucket("0.00390625"), 4.0);
    assert_eq!(bucket("16.0"), 4.0);
    assert_eq!(bucket("+Inf"), 5.0);
}

/// Set `NODEPROBE_BLESS=1` to write the file anew, and read the difference before it is committed.
#[test]
fn the_text_forms_are_those_of_the_golden_files() {
    let metrics = full();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/metrics");
    for (format, file) in [
        (Format::Text, "text-0.0.4.txt"),
        (Format::OpenMetrics, "openmetrics.txt"),
    ] {
        let path = fixtures.join(file);
        let shown = text(&metrics, format);
        if std::env::var_os("NODEPROBE_BLESS").is_some() {
            fs::create_dir_all(&fixtures).unwrap();
            fs::write(&path, &shown).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap();
        let differs = golden
            .lines()
            .zip(shown.lines())
            .find(|(golden, shown)| golden != shown);
        assert_eq!(differs, None, "{file}");
        assert_eq!(golden.len(), shown.len(), "{file}");
    }
}
