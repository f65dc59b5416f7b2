//! Touches up the text that the encoder writes.

use std::{borrow::Cow, fmt::Write as _};

/// Start of the label set of a bucket. Quotes inside label values are escaped, so it occurs nowhere else.
const BOUND: &str = "{le=\"";

/// Writes bucket bounds as the OpenMetrics specification has them (`1e-05`, not `1e-5` or `0.00001`).
///
/// Prometheus takes the bound of the text form as it is, and formats that of the protobuf form itself in this way:
/// without this, a change of the scrape protocol would make new series.
pub(super) fn canonical_bounds(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 64);
    let mut parts = text.split(BOUND);
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (bound, rest) = part.split_once('"').unwrap_or((part, ""));
        out.push_str(BOUND);
        out.push_str(&canonical_bound(bound));
        out.push('"');
        out.push_str(rest);
    }
    out
}

fn canonical_bound(bound: &str) -> Cow<'_, str> {
    match bound.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1e-4 => {
            let scientific = format!("{value:e}");
            match scientific.split_once("e-") {
                Some((mantissa, exponent)) => format!("{mantissa}e-{exponent:0>2}").into(),
                None => scientific.into(),
            }
        }
        _ => bound.into(),
    }
}

/// Converts OpenMetrics text to Prometheus text 0.0.4: comments name the samples (`x_total`, `x_info`), an info is a
/// gauge, and there is neither `# UNIT` nor `# EOF`. Samples are the same in both.
pub(super) fn to_0_0_4(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    // The encoder writes HELP before TYPE, and the type decides about the name.
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                other => ("", other),
            };
            // Writing to a string cannot fail.
            let _written = writeln!(
                out,
                "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}"
            );
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_with_two_digits_of_exponent() {
        for (given, canonical) in [
            ("9.5367431640625e-7", "9.5367431640625e-07"),
            ("0.0000152587890625", "1.52587890625e-05"),
            ("0.000244140625", "0.000244140625"),
            ("16.0", "16.0"),
            ("+Inf", "+Inf"),
        ] {
            assert_eq!(canonical_bound(given), canonical);
        }
    }

    #[test]
    fn only_bounds_are_rewritten() {
        let text = "a_bucket{le=\"1e-5\",x=\"{le=\\\"1e-5\\\"\"} 1\nb{x=\"1e-5\"} 1e-5\n";
        let expected = "a_bucket{le=\"1e-05\",x=\"{le=\\\"1e-5\\\"\"} 1\nb{x=\"1e-5\"} 1e-5\n";
        assert_eq!(canonical_bounds(text), expected);
    }

    #[test]
    fn comments_of_the_old_text_form_name_the_samples() {
        let open = "# HELP a Help me.\n# TYPE a counter\n# UNIT a seconds\na_total{x=\"# HELP\"} 1\n# HELP i I.\n\
                    # TYPE i info\ni_info{v=\"1\"} 1\n# EOF\n";
        let old = "# HELP a_total Help me.\n# TYPE a_total counter\na_total{x=\"# HELP\"} 1\n# HELP i_info I.\n\
                   # TYPE i_info gauge\ni_info{v=\"1\"} 1\n";
        assert_eq!(to_0_0_4(open), old);
    }
}
