//! JSON for scripts: an array of families with their series.
//!
//! Counters of seconds carry nanoseconds as well, histograms every bucket, so nothing is rounded on the way.

use std::collections::BTreeMap;

use probe_common::hist::{Histogram, upper_bound_seconds};
use serde::Serialize;

use super::collector::Labels;
use crate::metrics::{Kind, Registry, series::Value};

#[derive(Serialize)]
struct FamilyJson<'a> {
    name: &'a str,
    help: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: &'a str,
    series: Vec<SeriesJson<'a>>,
}

#[derive(Serialize)]
struct SeriesJson<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    value: ValueJson,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueJson {
    Count {
        value: u64,
    },
    Seconds {
        value: f64,
        value_ns: u64,
    },
    Gauge {
        value: f64,
    },
    Histogram {
        count: u64,
        sum: f64,
        sum_ns: u64,
        buckets: Vec<BucketJson>,
    },
}

/// Observations above the bound before and up to this one; no `le` for those above all bounds.
#[derive(Serialize)]
struct BucketJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    le: Option<f64>,
    count: u64,
}

pub(super) fn encode(registry: &Registry) -> serde_json::Result<Vec<u8>> {
    let shown = registry.families().iter().filter(|f| f.time_series() > 0);
    let families = shown.map(|family| {
        let desc = family.desc;
        let series = family.iter().map(|series| SeriesJson {
            labels: Labels {
                desc,
                series,
                node: registry.node(),
            }
            .iter()
            .collect(),
            value: value(desc.kind, &series.value),
        });
        let (unit, kind) = (desc.unit.name(), kind(desc.kind));
        FamilyJson {
            name: desc.name,
            help: desc.help,
            kind,
            unit,
            series: series.collect(),
        }
    });
    let mut out = serde_json::to_vec(&families.collect::<Vec<_>>())?;
    out.push(b'\n');
    Ok(out)
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter | Kind::SecondsCounter => "counter",
        Kind::Gauge => "gauge",
        Kind::Info => "info",
        Kind::Histogram(_) => "histogram",
    }
}

fn value(kind: Kind, value: &Value) -> ValueJson {
    match value {
        Value::Counter(ns) if kind == Kind::SecondsCounter => ValueJson::Seconds {
            value: *ns as f64 / 1e9,
            value_ns: *ns,
        },
        Value::Counter(count) => ValueJson::Count { value: *count },
        Value::Gauge(gauge) => ValueJson::Gauge { value: *gauge },
        Value::Histogram(histogram) => ValueJson::Histogram {
            count: histogram.count(),
            sum: histogram.sum_ns as f64 / 1e9,
            sum_ns: histogram.sum_ns,
            buckets: buckets(histogram),
        },
    }
}

fn buckets(histogram: &Histogram) -> Vec<BucketJson> {
    let filled = histogram
        .buckets
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0);
    let bound = |index| Some(upper_bound_seconds(index)).filter(|le| le.is_finite());
    filled
        .map(|(index, &count)| BucketJson {
            le: bound(index),
            count,
        })
        .collect()
}
