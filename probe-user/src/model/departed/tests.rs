use probe_common::hist::Histogram;

use super::*;

fn calls(rows: &[(u64, u64)]) -> Measurements {
    let row = |(owner, calls): &(u64, u64)| SyscallRow {
        owner: OwnerId(*owner),
        syscall: Syscall { nr: 0, abi: 0 },
        calls: *calls,
        errors: 0,
        latency: Histogram::EMPTY,
    };
    Measurements {
        syscalls: rows.iter().map(row).collect(),
        ..Measurements::default()
    }
}

fn shown(measurements: &Measurements) -> Vec<(u64, u64)> {
    let rows = measurements.syscalls.iter();
    let mut rows: Vec<_> = rows.map(|row| (row.owner.0, row.calls)).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn what_was_freed_during_a_period_is_shown_at_its_end() {
    let earlier = calls(&[(1, 10), (2, 10)]);
    let mut departed = Departed::default();
    departed.keep(&calls(&[(1, 15), (2, 20)]), &[OwnerId(2)]);
    // A task that ended late has made the owner known again.
    let total = departed.with(&calls(&[(1, 16), (2, 1)]));
    assert_eq!(shown(&total.since(&earlier)), [(1, 6), (2, 11)]);
}

#[test]
fn an_owner_that_was_freed_starts_at_zero() {
    let mut earlier = calls(&[(1, 10), (2, 10)]);
    earlier.forget(&[OwnerId(2)]);
    let added = calls(&[(1, 10), (2, 3)]).since(&earlier);
    assert_eq!(shown(&added), [(2, 3)]);
}

#[test]
fn more_owners_than_are_kept_are_added_up() {
    let rows: Vec<_> = (1..=MAX_ROWS as u64 + 3).map(|owner| (owner, 1)).collect();
    let freed: Vec<_> = rows.iter().map(|(owner, _)| OwnerId(*owner)).collect();
    let mut departed = Departed::default();
    departed.keep(&calls(&rows), &freed);
    let shown = shown(&departed.with(&Measurements::default()));
    assert_eq!(shown[0], (0, 3));
    assert_eq!(shown.len(), MAX_ROWS + 1);
}
