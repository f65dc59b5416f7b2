//! The one bucket layout of durations, from the kernel's counters to every backend.
//!
//! Upper bounds are powers of two **seconds**, from 2^-23 s (119 ns) to 2^4 s (16 s), upper-inclusive, with one
//! bucket above. That is what native Prometheus histograms (schema 0) and OpenTelemetry exponential histograms
//! (scale 0) use, so counts travel without re-bucketing. Powers of two nanoseconds would match neither.

/// Buckets of a histogram: 28 finite upper bounds and one for everything above.
pub const BUCKETS: usize = 29;

/// Exponent of the lowest upper bound: bucket 0 holds durations up to 2^-23 s.
pub const MIN_EXPONENT: i32 = -23;

/// Exponent of the highest finite upper bound, 2^4 s.
pub const MAX_EXPONENT: i32 = MIN_EXPONENT + BUCKETS as i32 - 2;

/// The bucket of a duration in nanoseconds, always below [`BUCKETS`].
///
/// The duration is converted to units of 2^-30 s: 1 ns is 1.073741824 of them, `1 + 77324 / 2^20` up to an error
/// below 1e-6 for long durations and one unit for short ones. The product wraps only after 2.7 days, far above
/// the highest bound; longer durations are caught before.
#[inline(always)]
pub fn bucket(ns: u64) -> usize {
    const ABOVE_ALL: u64 = 1 << 40;
    if ns >= ABOVE_ALL {
        return BUCKETS - 1;
    }
    let units = ns + ((ns * 77_324) >> 20);
    // Bit length of `units - 1`, so that a bound itself falls into its bucket.
    let shifted = units.saturating_sub(1) >> 7;
    let index = bit_length(shifted);
    if index >= BUCKETS as u32 {
        BUCKETS - 1
    } else {
        index as usize
    }
}

/// Number of significant bits. The BPF target has no count-leading-zeros instruction, and the compiler's
/// replacement is three times as long as this.
#[inline(always)]
fn bit_length(mut v: u64) -> u32 {
    let mut bits = 0;
    if v >> 32 != 0 {
        v >>= 32;
        bits += 32;
    }
    if v >> 16 != 0 {
        v >>= 16;
        bits += 16;
    }
    if v >> 8 != 0 {
        v >>= 8;
        bits += 8;
    }
    if v >> 4 != 0 {
        v >>= 4;
        bits += 4;
    }
    if v >> 2 != 0 {
        v >>= 2;
        bits += 2;
    }
    if v >> 1 != 0 {
        v >>= 1;
        bits += 1;
    }
    bits + v as u32
}

/// Upper bound of a bucket in seconds; infinite for the last one.
///
/// # Panics
///
/// If `index` is not below [`BUCKETS`].
pub fn upper_bound_seconds(index: usize) -> f64 {
    assert!(index < BUCKETS);
    if index == BUCKETS - 1 {
        return f64::INFINITY;
    }
    let exponent = MIN_EXPONENT + index as i32;
    // A power of two is exact in binary floating point: 1023 is the exponent's bias.
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// Counts by bucket and the exact sum of the durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Histogram {
    /// Sum of all observed durations in nanoseconds.
    pub sum_ns: u64,
    /// Observations per bucket, not cumulative.
    pub buckets: [u64; BUCKETS],
}
const _: () = assert!(size_of::<Histogram>() == 240 && align_of::<Histogram>() == 8);

impl Histogram {
    /// A histogram without observations.
    pub const EMPTY: Self = Self {
        sum_ns: 0,
        buckets: [0; BUCKETS],
    };

    /// Adds one duration. For user space: the kernel side adds to map memory field by field.
    pub fn observe(&mut self, ns: u64) {
        self.buckets[bucket(ns)] += 1;
        self.sum_ns = self.sum_ns.wrapping_add(ns);
    }

    /// Adds all observations of another histogram.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// What was added since an earlier reading of the same counters. Where the later reading is lower, because a part of
    /// the sum is gone, nothing was added.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut delta = Self::EMPTY;
        for (i, slot) in delta.buckets.iter_mut().enumerate() {
            *slot = self.buckets[i].saturating_sub(earlier.buckets[i]);
        }
        delta.sum_ns = self.sum_ns.saturating_sub(earlier.sum_ns);
        delta
    }

    /// Number of observations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// The `q`-quantile (0 to 1) in seconds, interpolated inside its bucket; `None` when empty.
    ///
    /// Bounds are a factor of two apart, so the answer is within that factor of the truth. Observations above the
    /// highest finite bound answer with that bound.
    pub fn quantile_seconds(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count as f64;
        let mut below = 0.0;
        for (i, &n) in self.buckets.iter().enumerate() {
            let n = n as f64;
            if n > 0.0 && below + n >= rank {
                if i == BUCKETS - 1 {
                    return Some(upper_bound_seconds(BUCKETS - 2));
                }
                let upper = upper_bound_seconds(i);
                let share = ((rank - below) / n).clamp(0.0, 1.0);
                // Linear between upper/2 and upper: `core` has no powf, and the error stays inside the bucket.
                return Some(upper * (0.5 + 0.5 * share));
            }
            below += n;
        }
        Some(upper_bound_seconds(BUCKETS - 2))
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_range_covers_128_ns_to_10_s() {
        assert!(upper_bound_seconds(0) < 128e-9);
        assert!(upper_bound_seconds(BUCKETS - 2) > 10.0);
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket(17_000_000_000), BUCKETS - 1);
        assert_eq!(bucket(15_999_000_000), BUCKETS - 2);
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::EMPTY.quantile_seconds(0.5), None);
    }

    #[test]
    fn a_sum_that_has_lost_a_part_adds_nothing() {
        let mut earlier = Histogram::EMPTY;
        for ns in [100, 100, 5_000] {
            earlier.observe(ns);
        }
        let mut later = Histogram::EMPTY;
        later.observe(100);
        later.observe(9_000_000);
        let added = later.since(&earlier);
        assert_eq!(added.count(), 1);
        assert!(added.quantile_seconds(0.5).unwrap() > 0.005);
    }

    proptest! {
        #[test]
        fn a_duration_lies_between_the_bounds_of_its_bucket(ns in 0u64..200_000_000_000) {
            let index = bucket(ns);
            let seconds = ns as f64 / 1e9;
            // One unit of 2^-30 s of rounding for short durations, 1e-6 for long ones.
            let slack = 1.1e-9 + seconds * 1e-6;
            prop_assert!(seconds <= upper_bound_seconds(index) + slack);
            if index > 0 {
                prop_assert!(seconds > upper_bound_seconds(index - 1) - slack);
            }
        }

        #[test]
        fn buckets_are_monotonic(a in 0u64..u64::MAX, b in 0u64..u64::MAX) {
            prop_assert!((a <= b) == (bucket(a) <= bucket(b)) || bucket(a) == bucket(b));
        }

        #[test]
        fn merge_and_since_are_inverse(values in proptest::collection::vec(0u64..1 << 36, 0..50)) {
            let mut earlier = Histogram::EMPTY;
            let mut later = Histogram::EMPTY;
            let mut rest = Histogram::EMPTY;
            for (i, v) in values.iter().enumerate() {
                later.observe(*v);
                if i % 2 == 0 { earlier.observe(*v) } else { rest.observe(*v) }
            }
            prop_assert_eq!(later.since(&earlier), rest);
            earlier.merge(&rest);
            prop_assert_eq!(later, earlier);
        }
    }
}
