use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::render::{Charset, fixtures, text};

const ALL: Selection<SyscallOrder> = Selection {
    order: SyscallOrder::Calls,
    top: None,
};

fn look(width: usize) -> Look {
    Look {
        width,
        colour: false,
        charset: Charset::Unicode,
    }
}

fn table(report: &Report<SyscallView>, selection: &Selection<SyscallOrder>, look: &Look) -> String {
    let mut out = Vec::new();
    write_syscalls(&mut out, report, selection, look).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn syscalls_at_80_columns() {
    fixtures::assert_golden(
        "syscalls-80.txt",
        &table(&fixtures::syscalls(), &ALL, &look(80)),
    );
}

#[test]
fn syscalls_at_140_columns() {
    fixtures::assert_golden(
        "syscalls-140.txt",
        &table(&fixtures::syscalls(), &ALL, &look(140)),
    );
}

#[test]
fn processes_at_120_columns() {
    fixtures::assert_golden(
        "syscalls-process-120.txt",
        &table(&fixtures::processes(), &ALL, &look(120)),
    );
}

#[test]
fn the_rest_has_the_sums_of_what_is_not_shown() {
    let top = Selection {
        top: Some(2),
        ..ALL
    };
    let text = table(&fixtures::syscalls(), &top, &look(200));
    let rest = text
        .lines()
        .find(|line| line.starts_with("... and 4 more"))
        .unwrap();
    let calls = 48_211 + 9_120 + 215 + 77;
    assert!(rest.contains(&count(calls)), "{rest}");
    assert!(rest.contains(&count(12 + 9_120 + 215)), "{rest}");
}

#[test]
fn rows_are_in_the_order_that_was_asked_for() {
    let names = |order| {
        let text = table(
            &fixtures::syscalls(),
            &Selection { order, top: None },
            &look(200),
        );
        let rows = text.lines().skip(3).take(3);
        rows.map(|row| row.split_whitespace().nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(SyscallOrder::Calls),
        ["recvfrom", "pread64", "epoll_wait"]
    );
    assert_eq!(names(SyscallOrder::Errors), ["recvfrom", "openat", "read"]);
    assert_eq!(
        names(SyscallOrder::Time),
        ["epoll_wait", "pread64", "recvfrom"]
    );
}

#[test]
fn sampled_latency_is_said_to_be_sampled() {
    let text = table(&fixtures::syscalls(), &ALL, &look(200));
    let note = "latency: 1,572,700 of 1,572,942 calls were timed (>99%); \
                quantiles and TIME are theirs alone";
    assert!(text.contains(note), "{text}");
}

#[test]
fn latency_that_is_off_is_not_shown_as_zero() {
    let mut report = fixtures::syscalls();
    report.rows.iter_mut().for_each(|row| row.latency = None);
    let text = table(&report, &ALL, &look(200));
    assert!(text.contains("latency: not measured"), "{text}");
    assert!(text.lines().nth(3).unwrap().ends_with("–"), "{text}");
}

#[test]
fn losses_notes_and_folded_calls_stand_below() {
    let mut report = fixtures::syscalls();
    report.summary.lost = BTreeMap::from([("syscalls/kernel/owners_full".into(), 77)]);
    report.summary.notes = vec!["cgroup v1: \x1b[2J".into()];
    let text = table(&report, &ALL, &look(200));
    assert!(text.contains("~other: 77 calls"), "{text}");
    assert!(
        text.contains("LOST: syscalls/kernel/owners_full 77 (docs/losses.md)\n"),
        "{text}"
    );
    assert!(text.contains("note: cgroup v1: \\u{1b}[2J\n"), "{text}");
}

#[test]
fn an_empty_report_says_so_in_figures() {
    let mut report = fixtures::syscalls();
    report.rows.clear();
    let text = table(&report, &ALL, &look(80));
    assert!(text.contains("0 calls, 0 errors"), "{text}");
    assert!(text.ends_with("lost: nothing\n"), "{text}");
}

proptest! {
    #[test]
    fn any_names_at_any_width_are_shown_without_harm(
        name: String, comm: String, errno: String, note: String,
        width in 1usize..300, calls: u64, errors: u64, ascii: bool, seconds in 0u64..3,
    ) {
        let mut report = fixtures::processes();
        report.summary.duration = std::time::Duration::from_secs(seconds);
        report.summary.notes.push(note);
        for row in &mut report.rows {
            row.container.name = name.clone();
            row.process = Some(ProcessRef { pid: 1, comm: comm.clone() });
            row.errnos.insert(errno.clone(), errors);
            (row.calls, row.errors) = (calls, errors);
        }
        let charset = if ascii { Charset::Ascii } else { Charset::Unicode };
        let look = Look { width, colour: false, charset };
        let text = table(&report, &Selection { top: Some(3), ..ALL }, &look);
        for line in text.lines() {
            prop_assert!(text::width(line) <= width, "{}", line);
            prop_assert!(line.chars().all(text::is_harmless), "{:?}", line);
        }
    }
}

#[test]
fn a_long_note_takes_one_line_and_says_where_the_rest_is() {
    let mut report = fixtures::syscalls();
    let long = "probe tcp is degraded: ".to_owned() + &"a reason of the kernel; ".repeat(20);
    report.summary.notes = vec!["short".into(), long];
    let text = table(&report, &ALL, &look(80));
    let notes: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "note: short")
        .collect();
    assert_eq!(notes.len(), 2, "{text}");
    assert!(
        notes[1].starts_with("note: probe tcp is degraded: a reason"),
        "{text}"
    );
    assert!(notes[1].ends_with("… (`-o json` has all of it)"), "{text}");
}
