//! What stands in the cells of the live table, and how hot it is.

use ratatui::style::Style;

use super::{column::Column, theme::Theme};
use crate::render::{
    Charset, format,
    text::{safe, shorten_middle, width},
    view::{LiveRow, Preemptor},
};

/// Text and style of one cell. The text may be wider than the column where the column is one of
/// text.
pub(super) fn cell(row: &LiveRow, column: Column, theme: &Theme) -> (String, Style) {
    let charset = theme.charset;
    let time = |seconds| format::estimate(seconds, charset);
    match column {
        Column::Container => {
            let style = if row.container.is_host() {
                theme.dim
            } else {
                theme.name
            };
            (safe(&row.container.display_name(), charset), style)
        }
        Column::Syscalls => number(row.syscalls_per_second, format::rate, NEVER, theme),
        Column::Errors => number(
            row.errors_per_second,
            format::rate,
            error_limits(row),
            theme,
        ),
        Column::SyscallP50 => number(row.syscall_p50, time, NEVER, theme),
        Column::SyscallP99 => number(row.syscall_p99, time, NEVER, theme),
        Column::RunqueueP99 => number(row.runqueue_p99, time, WAIT_LIMITS, theme),
        Column::Cpu => number(row.cpu, format::percent, CPU_LIMITS, theme),
        Column::Preemptor => preemptor(row.top_preemptor.as_ref(), usize::MAX, theme),
    }
}

/// As [`cell`], with text shortened to the width of the column.
pub(super) fn fitted(
    row: &LiveRow,
    column: Column,
    columns: usize,
    theme: &Theme,
) -> (String, Style) {
    let (text, style) = match column {
        Column::Preemptor => preemptor(row.top_preemptor.as_ref(), columns, theme),
        _ => cell(row, column, theme),
    };
    (shorten_middle(&text, columns, theme.charset), style)
}

/// From which value on a figure is worth a look, and from which one it is bad.
type Limits = (f64, f64);

/// Durations of system calls say nothing by themselves: most of the long ones are waits that a
/// program asked for.
const NEVER: Limits = (f64::INFINITY, f64::INFINITY);
/// Seconds. A millisecond is a noticeable part of a request; ten are several time slices.
const WAIT_LIMITS: Limits = (1e-3, 1e-2);
/// Shares of one CPU, which is as much as one thread can use.
const CPU_LIMITS: Limits = (0.5, 0.95);
/// Preemptions per second.
const PREEMPTION_LIMITS: Limits = (10.0, 100.0);

/// Errors are judged by their share in all calls: a few per second are normal for most programs.
fn error_limits(row: &LiveRow) -> Limits {
    const SHARES: Limits = (0.05, 0.25);
    let calls = row.syscalls_per_second.unwrap_or(0.0).max(1.0);
    (calls * SHARES.0, calls * SHARES.1)
}

fn number(
    value: Option<f64>,
    text: impl Fn(f64) -> String,
    limits: Limits,
    theme: &Theme,
) -> (String, Style) {
    match value {
        None => (theme.charset.dash().into(), theme.dim),
        Some(value) if value <= 0.0 => ("0".into(), theme.dim),
        Some(value) => (text(value), heat(value, limits, theme)),
    }
}

fn heat(value: f64, (warm, hot): Limits, theme: &Theme) -> Style {
    if value >= hot {
        theme.hot
    } else if value >= warm {
        theme.warm
    } else {
        theme.text
    }
}

/// `batch/hog 172/s`, with the name and not the rate shortened.
fn preemptor(preemptor: Option<&Preemptor>, columns: usize, theme: &Theme) -> (String, Style) {
    let Some(Preemptor { name, per_second }) = preemptor else {
        return (String::new(), theme.dim);
    };
    let charset: Charset = theme.charset;
    let rate = format!(" {}/s", format::rate(*per_second));
    let name = safe(name, charset);
    let name = shorten_middle(&name, columns.saturating_sub(width(&rate)), charset);
    (
        format!("{name}{rate}"),
        heat(*per_second, PREEMPTION_LIMITS, theme),
    )
}
