//! Feeds the registry to the encoders of `prometheus-client`.

use std::fmt;

use probe_common::hist::{BUCKETS, Histogram, upper_bound_seconds};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit as EncoderUnit,
};

use super::native::Native;
use crate::metrics::{
    Bounds, Desc, Kind, SharedRegistry, Unit,
    family::Family,
    series::{Series, Value},
};

const NS_PER_SECOND: f64 = 1e9;

impl Collector for SharedRegistry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut registry = self.lock();
        for family in registry.families() {
            encode_family(&mut encoder, family, registry.node())?;
        }
        registry.mark_shown();
        Ok(())
    }
}

fn encode_family(encoder: &mut DescriptorEncoder<'_>, family: &Family, node: &str) -> fmt::Result {
    let desc = family.desc;
    if family.time_series() == 0 {
        return Ok(());
    }
    let unit = match desc.unit {
        Unit::None => None,
        Unit::Seconds => Some(EncoderUnit::Seconds),
        Unit::Bytes => Some(EncoderUnit::Bytes),
    };
    let kind = match desc.kind {
        Kind::Counter | Kind::SecondsCounter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Info => MetricType::Info,
        Kind::Histogram(_) => MetricType::Histogram,
    };
    let mut metric = encoder.encode_descriptor(desc.stem(), desc.help, unit.as_ref(), kind)?;
    for series in family.iter() {
        let labels = Labels { desc, series, node };
        if desc.kind == Kind::Info {
            metric.encode_info(&labels)?;
        } else if desc.labels.is_empty() {
            // An empty set would be written as `{}`.
            encode_value(&mut metric, desc.kind, &series.value)?;
        } else {
            encode_value(
                &mut metric.encode_family(&labels)?,
                desc.kind,
                &series.value,
            )?;
        }
    }
    Ok(())
}

fn encode_value(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::SecondsCounter, Value::Counter(ns)) => {
            metric.encode_counter::<NoLabelSet, _, f64>(&(*ns as f64 / NS_PER_SECOND), None)
        }
        (_, Value::Counter(count)) => metric.encode_counter::<NoLabelSet, _, f64>(count, None),
        (_, Value::Gauge(gauge)) => metric.encode_gauge(gauge),
        (Kind::Histogram(bounds), Value::Histogram(histogram)) => {
            let native = Native::of(histogram);
            let sum = histogram.sum_ns as f64 / NS_PER_SECOND;
            let classic = classic_buckets(histogram, bounds);
            let native = native.buckets();
            metric.encode_histogram_with_native::<NoLabelSet>(
                sum,
                histogram.count(),
                &classic,
                None,
                native,
            )
        }
        (_, Value::Histogram(_)) => Err(fmt::Error),
    }
}

/// Bounds and counts between them, ending in `+Inf`. Never empty: the text encoder refuses a histogram without
/// classic buckets, and the whole scrape with it.
pub(super) fn classic_buckets(histogram: &Histogram, bounds: Bounds) -> Vec<(f64, u64)> {
    let mut from = 0;
    let shown = bounds.buckets().chain([BUCKETS - 1]);
    let buckets = shown.map(|last| {
        let count = histogram.buckets[from..=last]
            .iter()
            .fold(0, |sum: u64, n| sum.wrapping_add(*n));
        from = last + 1;
        (upper_bound_seconds(last), count)
    });
    buckets.collect()
}

/// The labels of one series, `node` last.
#[derive(Clone, Copy)]
pub(super) struct Labels<'a> {
    pub(super) desc: &'static Desc,
    pub(super) series: &'a Series,
    pub(super) node: &'a str,
}

impl<'a> Labels<'a> {
    pub(super) fn iter(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let own = self
            .desc
            .labels
            .iter()
            .copied()
            .zip(self.series.labels.iter().map(AsRef::as_ref));
        own.chain(self.desc.per_container().then_some(("node", self.node)))
    }
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        use prometheus_client::encoding::EncodeLabel as _;
        self.iter()
            .try_for_each(|label| label.encode(encoder.encode_label()))
    }
}
