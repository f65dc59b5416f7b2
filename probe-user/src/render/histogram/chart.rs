//! Bars for the buckets of one or more histograms.

use std::collections::BTreeMap;

use crate::render::{
    Charset, Look,
    format::{bound, count, share},
    text::width,
    view::{BucketView, HistogramView},
};

const BOUNDS_WIDTH: usize = 19;
const SHARE_WIDTH: usize = 5;
const MAX_BAR: usize = 48;
const MIN_BAR: usize = 4;

/// Lines with bounds, and count, bar and share for each histogram. Bars are relative to the fullest
/// bucket of their own histogram. All histograms show the same buckets, so that a line compares
/// like with like; more than one have their names above them.
pub(super) fn chart(series: &[(&str, &HistogramView)], look: &Look) -> Vec<String> {
    let counts: Vec<usize> = series
        .iter()
        .map(|(_, view)| count(fullest(view)).len())
        .collect();
    let fixed = |share: usize| counts.iter().map(|width| width + share + 6).sum::<usize>();
    // A share that finds no room is left out: one that is cut would be another number.
    let has_share = BOUNDS_WIDTH + fixed(SHARE_WIDTH) <= look.width;
    let share_width = if has_share { SHARE_WIDTH } else { 0 };
    let fixed = fixed(share_width);
    let room = look.width.saturating_sub(BOUNDS_WIDTH + fixed) / series.len().max(1);
    let bar_width = if room < MIN_BAR { 0 } else { room.min(MAX_BAR) };
    let mut lines = Vec::new();
    if series.len() > 1 {
        let mut line = " ".repeat(BOUNDS_WIDTH);
        for ((name, _), count_width) in series.iter().zip(&counts) {
            let after_count = bar_width + 2 + share_width;
            line.push_str(&format!("  {:count_width$}  {name:<after_count$}", ""));
        }
        lines.push(line);
    }
    for bucket in buckets(series) {
        let mut line = format!("{:>BOUNDS_WIDTH$}", bounds(&bucket, look.charset));
        for ((_, view), count_width) in series.iter().zip(&counts) {
            let n = count_in(view, &bucket);
            let bar = bar(n, fullest(view), bar_width, look.charset);
            let padding = " ".repeat(bar_width.saturating_sub(width(&bar)));
            let share = if n == 0 || !has_share {
                String::new()
            } else {
                share(n, view.count)
            };
            let n = count(n);
            line.push_str(&format!(
                "  {n:>count_width$}  {bar}{padding}  {share:>share_width$}"
            ));
        }
        lines.push(line);
    }
    lines
}

/// All buckets from the first to the last one that is filled in any of the histograms.
fn buckets(series: &[(&str, &HistogramView)]) -> Vec<BucketView> {
    let all = series.iter().flat_map(|(_, view)| &view.buckets);
    // Bounds are positive, and the bits of positive floats sort as their values do.
    let by_bound: BTreeMap<u64, BucketView> = all.map(|b| (b.le.to_bits(), *b)).collect();
    let (Some(first), Some(last)) = (by_bound.values().next(), by_bound.values().last()) else {
        return Vec::new();
    };
    let mut filled = vec![*first];
    let mut bucket = *first;
    while bucket.le < last.le {
        let le = bucket.le * 2.0;
        // Above the highest finite bound there is only the infinite one.
        let le = if last.lower_bound_seconds() < le {
            last.le
        } else {
            le
        };
        bucket = BucketView { le, count: 0 };
        filled.push(bucket);
    }
    filled
}

fn count_in(view: &HistogramView, bucket: &BucketView) -> u64 {
    view.buckets
        .iter()
        .find(|b| b.le == bucket.le)
        .map_or(0, |b| b.count)
}

fn fullest(view: &HistogramView) -> u64 {
    view.buckets.iter().map(|b| b.count).max().unwrap_or(0)
}

fn bounds(bucket: &BucketView, charset: Charset) -> String {
    let lower = bound(bucket.lower_bound_seconds(), charset);
    if bucket.le.is_infinite() {
        return format!("> {lower}");
    }
    format!("{lower} - {}", bound(bucket.le, charset))
}

/// A bar of at most `width` columns. What is not zero shows, however small.
fn bar(n: u64, fullest: u64, width: usize, charset: Charset) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if n == 0 || fullest == 0 || width == 0 {
        return String::new();
    }
    let columns = (n as f64 / fullest as f64).min(1.0) * width as f64;
    match charset {
        Charset::Ascii => "*".repeat((columns.round() as usize).max(1)),
        Charset::Unicode => {
            let eighths = ((columns * 8.0).round() as usize).max(1);
            format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
        }
    }
}

#[cfg(test)]
mod tests {
    use probe_common::hist::{BUCKETS, Histogram};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bars_have_eighths_and_never_hide_anything() {
        assert_eq!(bar(100, 100, 4, Charset::Unicode), "████");
        assert_eq!(bar(45, 100, 10, Charset::Unicode), "████▌");
        assert_eq!(bar(1, 1_000_000, 10, Charset::Unicode), "▏");
        assert_eq!(bar(0, 100, 10, Charset::Unicode), "");
        assert_eq!(bar(45, 100, 10, Charset::Ascii), "*****");
        assert_eq!(bar(1, 1_000_000, 10, Charset::Ascii), "*");
    }

    #[test]
    fn two_histograms_share_their_buckets() {
        let mut low = Histogram::EMPTY;
        low.observe(3000);
        let mut high = Histogram::EMPTY;
        high.observe(60_000_000_000);
        let (low, high) = (HistogramView::from(&low), HistogramView::from(&high));
        let shown = buckets(&[("low", &low), ("high", &high)]);
        assert_eq!(shown.len(), BUCKETS - 5);
        assert_eq!(shown[0].lower_bound_seconds(), 2f64.powi(-19));
        assert!(shown[shown.len() - 1].le.is_infinite());
        let look = Look {
            width: 100,
            colour: false,
            charset: Charset::Unicode,
        };
        let lines = chart(&[("low", &low), ("high", &high)], &look);
        assert!(
            lines[1].starts_with("    1.9 µs - 3.8 µs  1  ██"),
            "{}",
            lines[1]
        );
        assert!(lines[lines.len() - 1].starts_with("             > 16 s  0   "));
    }

    proptest! {
        #[test]
        fn lines_fit_wherever_bars_do(
            a in proptest::array::uniform29(0u64..1_000_000),
            b in proptest::array::uniform29(0u64..1_000_000),
            width in 80usize..250,
        ) {
            let of = |buckets| HistogramView::from(&Histogram { sum_ns: 1, buckets });
            for charset in [Charset::Unicode, Charset::Ascii] {
                let look = Look { width, colour: false, charset };
                for line in chart(&[("a", &of(a)), ("b", &of(b))], &look) {
                    prop_assert!(crate::render::text::width(&line) <= width);
                }
            }
        }
    }
}
