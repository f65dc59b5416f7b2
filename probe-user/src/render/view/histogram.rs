//! A histogram as JSON and tables show it.

use probe_common::hist::{BUCKETS, Histogram, upper_bound_seconds};
use serde::{Serialize, Serializer};

/// Durations by bucket, with the usual quantiles.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistogramView {
    /// Number of durations.
    pub count: u64,
    /// Their sum.
    #[serde(rename = "sum_ns", serialize_with = "super::units::seconds")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub sum_seconds: f64,
    /// Median, estimated within its bucket; absent when empty.
    #[serde(
        rename = "p50_ns",
        serialize_with = "super::units::some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub p50_seconds: Option<f64>,
    /// 0.9-quantile, estimated within its bucket; absent when empty.
    #[serde(
        rename = "p90_ns",
        serialize_with = "super::units::some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub p90_seconds: Option<f64>,
    /// 0.99-quantile, estimated within its bucket; absent when empty.
    #[serde(
        rename = "p99_ns",
        serialize_with = "super::units::some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub p99_seconds: Option<f64>,
    /// No duration was longer; absent when empty or above the highest bound.
    #[serde(
        rename = "max_bound_ns",
        serialize_with = "super::units::some_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub max_bound_seconds: Option<f64>,
    /// From the first to the last bucket that is not empty.
    pub buckets: Vec<BucketView>,
}

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketView {
    /// Upper bound, inclusive: a power of two of seconds, in nanoseconds. Absent in the bucket above the highest bound.
    #[serde(
        rename = "le_ns",
        serialize_with = "bound",
        skip_serializing_if = "is_infinite"
    )]
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub le: f64,
    /// Durations in this bucket alone.
    pub count: u64,
}

impl HistogramView {
    /// Arithmetic mean in seconds; `None` when empty.
    pub fn mean_seconds(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_seconds / self.count as f64)
    }
}

impl BucketView {
    /// The bound below this bucket in seconds, exclusive; 0 for the lowest one.
    pub fn lower_bound_seconds(&self) -> f64 {
        if self.le <= upper_bound_seconds(0) {
            0.0
        } else if self.le.is_infinite() {
            upper_bound_seconds(BUCKETS - 2)
        } else {
            self.le / 2.0
        }
    }
}

impl From<&Histogram> for HistogramView {
    fn from(histogram: &Histogram) -> Self {
        let filled = |n: &u64| *n > 0;
        let first = histogram.buckets.iter().position(filled).unwrap_or(0);
        let end = histogram
            .buckets
            .iter()
            .rposition(filled)
            .map_or(0, |last| last + 1);
        let buckets: Vec<BucketView> = (first..end)
            .map(|i| BucketView {
                le: upper_bound_seconds(i),
                count: histogram.buckets[i],
            })
            .collect();
        Self {
            count: histogram.count(),
            sum_seconds: histogram.sum_ns as f64 / 1e9,
            p50_seconds: histogram.quantile_seconds(0.5),
            p90_seconds: histogram.quantile_seconds(0.9),
            p99_seconds: histogram.quantile_seconds(0.99),
            max_bound_seconds: buckets
                .last()
                .map(|last| last.le)
                .filter(|le| le.is_finite()),
            buckets,
        }
    }
}

/// Bounds are powers of two of seconds, and few of them are whole nanoseconds.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn bound<S: Serializer>(le: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*le * 1e9)
}

/// JSON has no infinity.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_infinite(le: &f64) -> bool {
    le.is_infinite()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn view(durations_ns: &[u64]) -> HistogramView {
        let mut histogram = Histogram::EMPTY;
        durations_ns.iter().for_each(|ns| histogram.observe(*ns));
        HistogramView::from(&histogram)
    }

    #[test]
    fn an_empty_histogram_has_neither_quantiles_nor_buckets() {
        let json = serde_json::to_value(view(&[])).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"count": 0, "sum_ns": 0, "buckets": []})
        );
    }

    #[test]
    fn empty_buckets_are_shown_only_between_filled_ones() {
        let shown = view(&[1000, 1000, 7000]);
        let counts: Vec<u64> = shown.buckets.iter().map(|b| b.count).collect();
        assert_eq!(counts, [2, 0, 1]);
        assert_eq!(shown.max_bound_seconds, Some(2f64.powi(-17)));
        assert_eq!(shown.buckets[0].lower_bound_seconds(), 2f64.powi(-20));
    }

    #[test]
    fn the_last_bucket_has_no_bound() {
        let shown = view(&[60_000_000_000]);
        assert_eq!(shown.max_bound_seconds, None);
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["buckets"], serde_json::json!([{"count": 1}]));
    }

    proptest! {
        #[test]
        fn any_histogram_has_a_json_form(buckets: [u64; BUCKETS], sum_ns: u64) {
            let shown = HistogramView::from(&Histogram { sum_ns, buckets });
            let shown_count = shown.buckets.iter().fold(0u64, |sum, b| sum.wrapping_add(b.count));
            prop_assert_eq!(shown_count, shown.count);
            prop_assert!(serde_json::to_string(&shown).is_ok());
        }
    }
}
