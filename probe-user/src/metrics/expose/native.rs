//! The native form of a histogram: schema 0, which has the same bounds as ours.

use probe_common::hist::{BUCKETS, Histogram, MIN_EXPONENT, upper_bound_seconds};
use prometheus_client::encoding::{NativeHistogram, NativeHistogramBuckets};

/// Gaps of at most this many empty buckets are written as zeros: cheaper than a span of their own.
const SMALL_GAP: i32 = 2;

/// Sparse buckets. Bucket `k` of schema 0 holds what is above 2^(k-1) s and at most 2^k s.
///
/// Our lowest bucket also holds everything shorter, so it is the zero bucket, with its bound as threshold. Our
/// highest has no upper bound: it is shown as if it ended at 32 s, and only the sum knows better.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Native {
    zero_count: u64,
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

impl Native {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let mut native = Self {
            zero_count: histogram.buckets[0],
            ..Self::default()
        };
        let mut next = 0;
        let mut previous = 0;
        for (index, &count) in histogram.buckets.iter().enumerate().take(BUCKETS).skip(1) {
            if count == 0 {
                continue;
            }
            let key = MIN_EXPONENT + index as i32;
            let gap = key - next;
            match native.spans.last_mut() {
                Some((_, length)) if gap <= SMALL_GAP => {
                    *length += gap as u32 + 1;
                    for _ in 0..gap {
                        native.deltas.push(-previous);
                        previous = 0;
                    }
                }
                // The first offset counts from bucket 0, later ones from the end of the span before.
                _ => native.spans.push((gap, 1)),
            }
            native.deltas.push(count as i64 - previous);
            previous = count as i64;
            next = key + 1;
        }
        native
    }

    pub(super) fn buckets(&self) -> NativeHistogram<'_> {
        NativeHistogram {
            schema: 0,
            zero_threshold: upper_bound_seconds(0),
            zero_count: self.zero_count,
            negative: NativeHistogramBuckets {
                spans: &[],
                deltas: &[],
            },
            positive: NativeHistogramBuckets {
                spans: &self.spans,
                deltas: &self.deltas,
            },
            created: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts by key, as a reader of the format gets them.
    fn read(native: &Native) -> Vec<(i32, i64)> {
        let mut deltas = native.deltas.iter();
        let (mut key, mut count, mut counts) = (0, 0, Vec::new());
        for &(offset, length) in &native.spans {
            key += offset;
            for _ in 0..length {
                count += deltas.next().unwrap();
                counts.push((key, count));
                key += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        counts.retain(|(_, count)| *count != 0);
        counts
    }

    #[test]
    fn an_empty_histogram_has_no_spans() {
        assert_eq!(Native::of(&Histogram::EMPTY), Native::default());
    }

    #[test]
    fn a_duration_lands_in_the_bucket_whose_key_is_the_exponent_of_its_bound() {
        let mut histogram = Histogram::EMPTY;
        histogram.observe(700_000_000); // up to 2^0 s
        histogram.observe(3_000_000_000); // up to 2^2 s
        histogram.observe(1); // zero bucket
        let native = Native::of(&histogram);
        assert_eq!(native.spans, [(0, 3)]);
        assert_eq!(native.deltas, [1, -1, 1]);
        assert_eq!(native.zero_count, 1);
    }

    proptest! {
        #[test]
        fn spans_and_deltas_say_the_same_as_the_buckets(
            counts in proptest::collection::vec(prop_oneof![Just(0u64), 0..1u64 << 50], BUCKETS)
        ) {
            let mut histogram = Histogram::EMPTY;
            histogram.buckets.copy_from_slice(&counts);
            let expected: Vec<(i32, i64)> = (1..BUCKETS)
                .map(|i| (MIN_EXPONENT + i as i32, counts[i] as i64))
                .filter(|(_, count)| *count != 0)
                .collect();
            prop_assert_eq!(read(&Native::of(&histogram)), expected);
        }
    }
}
