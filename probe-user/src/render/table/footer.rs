//! What stands below a table: what was lost, sampled, folded or left out.

use std::io::{self, Write};

use crate::render::{
    Look,
    format::{count, share},
    sheet::wrapped,
    text::{safe, shorten_end, wrap},
    view::{Summary, SyscallView},
};

/// Writes the losses and the notes of a report.
pub(crate) fn footer(out: &mut impl Write, summary: &Summary, look: &Look) -> io::Result<()> {
    if summary.lost.is_empty() {
        writeln!(
            out,
            "{}",
            crate::render::text::prefix("lost: nothing", look.width)
        )?;
    } else {
        let lost = summary
            .lost
            .iter()
            .map(|(what, n)| format!("{what} {}", count(*n)));
        let lost: Vec<String> = lost.collect();
        let lost = safe(&lost.join(", "), look.charset);
        wrapped(out, &format!("LOST: {lost} (docs/losses.md)"), look)?;
    }
    (summary.notes.iter()).try_for_each(|text| note(out, text, look))
}

/// Writes a note. What takes more than two lines is shortened to one: it explains at length what no reader of a table can
/// change.
fn note(out: &mut impl Write, text: &str, look: &Look) -> io::Result<()> {
    const WHOLE: &str = " (`-o json` has all of it)";
    let text = format!("note: {}", safe(text, look.charset));
    if wrap(&text, look.width).len() <= 2 || look.width <= WHOLE.len() {
        return wrapped(out, &text, look);
    }
    let short = shorten_end(&text, look.width - WHOLE.len(), look.charset);
    writeln!(out, "{short}{WHOLE}")
}

/// Names the columns for which the terminal is too narrow.
pub(crate) fn left_out_note(out: &mut impl Write, titles: &[&str], look: &Look) -> io::Result<()> {
    if titles.is_empty() {
        return Ok(());
    }
    wrapped(
        out,
        &format!("not shown for want of width: {}", titles.join(", ")),
        look,
    )
}

/// Says whether latency was sampled, and what is folded into `~other`.
pub(crate) fn syscall_notes(
    out: &mut impl Write,
    rows: &[SyscallView],
    look: &Look,
) -> io::Result<()> {
    let sum = |of: fn(&SyscallView) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
    let (calls, timed) = (sum(|row| row.calls), sum(SyscallView::timed));
    if calls > 0 && rows.iter().all(|row| row.latency.is_none()) {
        wrapped(out, "latency: not measured", look)?;
    } else if timed < calls {
        let note = format!(
            "latency: {} of {} calls were timed ({}); quantiles and TIME are theirs alone",
            count(timed),
            count(calls),
            share(timed, calls),
        );
        wrapped(out, &note, look)?;
    }
    let folded = sum(|row| if is_folded(row) { row.calls } else { 0 });
    if folded > 0 {
        let note = format!(
            "~other: {} calls over the kernel side's budget, folded together",
            count(folded)
        );
        wrapped(out, &note, look)?;
    }
    Ok(())
}

fn is_folded(row: &SyscallView) -> bool {
    row.container.is_other() || row.syscall.as_deref() == Some(crate::model::Container::OTHER)
}
