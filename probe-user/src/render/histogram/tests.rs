use std::collections::BTreeMap;

use probe_common::hist::{BUCKETS, Histogram};
use proptest::prelude::*;

use super::*;
use crate::render::{
    Charset, Selection, fixtures, text,
    view::{Report, SchedOrder},
};

const ALL: Selection<SchedOrder> = Selection {
    order: SchedOrder::Wait,
    top: None,
};

fn look(width: usize) -> Look {
    Look {
        width,
        colour: false,
        charset: Charset::Unicode,
    }
}

fn table(report: &Report<SchedView>, selection: &Selection<SchedOrder>, look: &Look) -> String {
    let mut out = Vec::new();
    write_runqlat(&mut out, report, selection, Histograms::OfOne, look).unwrap();
    String::from_utf8(out).unwrap()
}

fn runqlat(report: &Report<SchedView>, look: &Look) -> String {
    let mut out = Vec::new();
    write_runqlat(&mut out, report, &ALL, Histograms::All, look).unwrap();
    String::from_utf8(out).unwrap()
}

fn offcpu(report: &Report<SchedView>, histograms: Histograms, look: &Look) -> String {
    let mut out = Vec::new();
    write_offcpu(&mut out, report, &ALL, histograms, look).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_report_of_many_rows_is_a_table_with_a_line_for_each() {
    let mut report = fixtures::sched();
    let row = report.rows[0].clone();
    report.rows.extend(std::iter::repeat_n(row, 30));
    for text in [
        table(&report, &ALL, &look(80)),
        offcpu(&report, Histograms::OfOne, &look(80)),
    ] {
        assert!(text.lines().count() <= 32 + 8, "{text}");
        assert!(text.contains("--histogram"), "{text}");
        assert!(text.lines().all(|line| text::width(line) <= 80), "{text}");
    }
}

#[test]
fn a_single_row_has_its_histogram_without_a_flag() {
    let mut report = fixtures::sched();
    report.rows.truncate(1);
    let text = table(&report, &ALL, &look(80));
    assert!(
        text.contains("█") && !text.contains("--histogram"),
        "{text}"
    );
    let text = offcpu(&report, Histograms::OfOne, &look(80));
    assert!(text.contains("voluntary:") && text.contains("█"), "{text}");
}

#[test]
fn the_table_of_runqlat_at_80_columns() {
    fixtures::assert_golden(
        "runqlat-table-80.txt",
        &table(&fixtures::sched(), &ALL, &look(80)),
    );
}

#[test]
fn the_table_of_offcpu_shows_more_where_there_is_room() {
    let report = fixtures::sched();
    for width in [80, 120, 240] {
        let text = offcpu(&report, Histograms::OfOne, &look(width));
        fixtures::assert_golden(&format!("offcpu-table-{width}.txt"), &text);
    }
}

#[test]
fn runqlat_at_80_columns() {
    fixtures::assert_golden("runqlat-80.txt", &runqlat(&fixtures::sched(), &look(80)));
}

#[test]
fn runqlat_on_an_ascii_terminal() {
    let ascii = Look {
        charset: Charset::Ascii,
        ..look(60)
    };
    let text = runqlat(&fixtures::sched(), &ascii);
    assert!(text.is_ascii());
    fixtures::assert_golden("runqlat-ascii-60.txt", &text);
}

#[test]
fn offcpu_has_its_histograms_one_below_the_other_where_it_is_narrow() {
    fixtures::assert_golden(
        "offcpu-80.txt",
        &offcpu(&fixtures::sched(), Histograms::All, &look(80)),
    );
}

#[test]
fn offcpu_has_its_histograms_side_by_side_where_it_is_wide() {
    fixtures::assert_golden(
        "offcpu-120.txt",
        &offcpu(&fixtures::sched(), Histograms::All, &look(120)),
    );
}

#[test]
fn what_is_not_shown_is_summed_up() {
    let top = Selection {
        order: SchedOrder::Wait,
        top: Some(0),
    };
    let text = table(&fixtures::sched(), &top, &look(80));
    let rest = text.lines().find(|line| line.starts_with("... and 2 more"));
    let words: Vec<&str> = rest.unwrap().split_whitespace().skip(4).collect();
    assert_eq!(words, ["41,000", "679", "ms"], "{text}");
}

#[test]
fn losses_stand_below_the_histograms() {
    let mut report = fixtures::sched();
    report.summary.lost = BTreeMap::from([("scheduler/kernel/pairs_full".into(), 1234)]);
    let text = table(&report, &ALL, &look(80));
    assert!(
        text.ends_with("LOST: scheduler/kernel/pairs_full 1,234 (docs/losses.md)\n"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn any_histogram_at_any_width_is_drawn(
        a: [u64; BUCKETS], b: [u64; BUCKETS], sum_ns: u64, name: String,
        width in 1usize..300, ascii: bool, seconds: f64,
    ) {
        let mut report = fixtures::sched();
        let row = &mut report.rows[0];
        row.container.name = name.clone();
        row.preempted_by[0].container.name = name;
        row.runqueue = HistogramView::from(&Histogram { sum_ns, buckets: a });
        row.offcpu_voluntary = row.runqueue.clone();
        row.offcpu_involuntary = HistogramView::from(&Histogram { sum_ns, buckets: b });
        row.oncpu_seconds = seconds;
        let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
        let look = Look { width, colour: false, charset };
        for text in [
            runqlat(&report, &look),
            table(&report, &ALL, &look),
            offcpu(&report, Histograms::All, &look),
            offcpu(&report, Histograms::OfOne, &look),
        ] {
            for line in text.lines() {
                prop_assert!(text::width(line) <= width, "{}", line);
                prop_assert!(line.chars().all(text::is_harmless), "{:?}", line);
            }
        }
    }
}
