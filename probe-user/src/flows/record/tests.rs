//! Golden records, and that they are what the schema says.

use std::{env, fs, path::PathBuf};

use super::*;
use crate::flows::line::line;

pub(in crate::flows) mod fixtures;

use fixtures::{by_hand, clock, origin};

/// A file of the repository.
pub(super) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// Compares a text with a file of the repository, or writes that file when `UPDATE_GOLDEN` is set.
pub(super) fn assert_golden(path: &str, text: &str) {
    let file = repository(path);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        text == golden,
        "{path} differs; UPDATE_GOLDEN=1 accepts\n--- expected\n{golden}--- shown\n{text}"
    );
}

/// One line of each kind of record.
pub(in crate::flows) fn golden() -> String {
    let (clock, origin) = (clock(), origin());
    let lines = by_hand(&origin, &clock);
    String::from_utf8(lines.concat()).unwrap()
}

#[test]
fn records_are_those_of_the_golden_file() {
    assert_golden("tests/fixtures/flows/records.ndjson", &golden());
}

#[test]
fn a_balance_that_does_not_add_up_says_by_how_much() {
    let balance = fixtures::balance();
    assert_eq!(balance.error(), 0);
    let seen = |seen| Balance {
        seen,
        ..balance.clone()
    };
    assert_eq!((seen(7).error(), seen(12).error()), (-3, 2));
    let lost = [("kernel:a".into(), u64::MAX), ("kernel:b".into(), u64::MAX)].into();
    assert_eq!(Balance { lost, ..balance }.error(), i64::MIN);
}

#[test]
fn the_other_direction_swaps_both_sides_and_both_counters() {
    let (origin, clock) = (origin(), clock());
    let envelope = fixtures::envelope(&origin, &clock, 1);
    let mut flow = fixtures::tcp();
    let record = |flow: &crate::model::Flow| {
        let made = FlowRecord::new(&envelope, &fixtures::observed(flow), None, ByName::new());
        serde_json::from_slice::<serde_json::Value>(&line(&made).unwrap()).unwrap()
    };
    let ours = record(&flow);
    flow.initiator = crate::model::Initiator::Remote;
    let theirs = record(&flow);
    assert_eq!(
        (&ours["direction"], &theirs["direction"]),
        (&"egress".into(), &"ingress".into())
    );
    for (field, value) in ours.as_object().unwrap() {
        let swapped = match field.split_once('_') {
            Some(("src", rest)) => format!("dst_{rest}"),
            Some(("dst", rest)) => format!("src_{rest}"),
            _ if field.contains("_fwd") => field.replace("_fwd", "_rev"),
            _ if field.contains("_rev") => field.replace("_rev", "_fwd"),
            _ if ["direction", "tcp_closed_by"].contains(&field.as_str()) => continue,
            _ => field.clone(),
        };
        assert_eq!(&theirs[&swapped], value, "{field}");
    }
}
