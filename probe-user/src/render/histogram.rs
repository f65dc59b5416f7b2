//! Histograms drawn in the terminal: `nodeprobe runqlat` and `nodeprobe offcpu`.

mod chart;
mod offcpu;
mod runqlat;

use std::io::{self, Write};

pub use offcpu::write_offcpu;
pub use runqlat::write_runqlat;

use super::{
    Look,
    format::{bound, count, duration},
    sheet::heading,
    text::{prefix, safe},
    view::{HistogramView, SchedView},
};

/// Writes the name of the owner, in bold where that is welcome.
fn owner(out: &mut impl Write, row: &SchedView, look: &Look) -> io::Result<()> {
    let mut line = safe(&row.container.display_name(), look.charset);
    if let Some(process) = &row.process {
        line.push_str(&format!(
            "  {} {}",
            process.pid,
            safe(&process.comm, look.charset)
        ));
    }
    writeln!(out)?;
    heading(out, &line, look)
}

/// Writes a safe line, cut to the width of the terminal.
fn line(out: &mut impl Write, text: &str, look: &Look) -> io::Result<()> {
    writeln!(out, "{}", prefix(text, look.width).trim_end())
}

/// `12,345 waits, mean 9.31 µs, p50 4.20 µs, p90 15.1 µs, p99 120 µs, max <= 977 µs`.
fn summary(view: &HistogramView, what: &str, look: &Look) -> String {
    let time = |seconds| duration(seconds, look.charset);
    let mut text = format!("{} {what}", count(view.count));
    let figures = [
        ("mean", view.mean_seconds()),
        ("p50", view.p50_seconds),
        ("p90", view.p90_seconds),
        ("p99", view.p99_seconds),
    ];
    for (name, seconds) in figures {
        if let Some(seconds) = seconds {
            text.push_str(&format!(", {name} {}", time(seconds)));
        }
    }
    if let Some(max) = view.max_bound_seconds {
        text.push_str(&format!(", max <= {}", bound(max, look.charset)));
    }
    text
}

#[cfg(test)]
mod tests;
