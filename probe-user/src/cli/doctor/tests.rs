use rustix::thread::CapabilitySet;

use super::*;
use crate::config::{Config, Enabled};

/// A host without anything: no BTF, no mounts, no switches.
fn bare() -> (tempfile::TempDir, Facts) {
    let dir = tempfile::tempdir().unwrap();
    let roots = Roots {
        proc: dir.path().join("proc"),
        sys: dir.path().join("sys"),
    };
    let facts = Facts::gather(roots, Config::default());
    (dir, facts)
}

fn find<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

fn plain(width: usize) -> table::Style {
    table::Style {
        colour: false,
        width,
    }
}

#[test]
fn a_host_without_anything_is_reported_and_not_a_crash() {
    let (_dir, mut facts) = bare();
    facts.held = CapabilitySet::all();
    let checks = checks(&facts);
    assert_eq!(
        find(&checks, "type information (BTF)").state,
        State::Missing
    );
    assert_eq!(find(&checks, "scheduler").state, State::Missing);
    assert!(
        find(&checks, "BPF file system")
            .detail
            .contains("not mounted")
    );
    assert!(
        find(&checks, "syscalls")
            .detail
            .contains("type information")
    );
    assert_eq!(verdict(&checks), Kind::Unsupported);
    for check in &checks {
        assert!(
            check.state != State::Missing || check.remedy.is_some(),
            "{check:?}"
        );
    }
}

#[test]
fn without_privileges_each_probe_names_what_it_lacks() {
    let (_dir, mut facts) = bare();
    facts.held = CapabilitySet::BPF;
    let rows = checks(&facts);
    let row = find(&rows, "lifecycle");
    assert_eq!(row.state, State::Missing);
    assert_eq!(row.detail, "lacks CAP_PERFMON");
    assert_eq!(find(&rows, "load and attach probes").state, State::Missing);
    assert_eq!(find(&rows, "held").detail, "BPF");
}

#[test]
fn probes_that_are_switched_off_do_not_fail_the_doctor() {
    let (_dir, mut facts) = bare();
    let probes = &mut facts.config.probes;
    probes.scheduler = Enabled::Never;
    probes.lifecycle = Enabled::Never;
    probes.syscalls.enabled = Enabled::Never;
    probes.flows = Enabled::Never;
    probes.tcp = Enabled::Never;
    probes.drops = Enabled::Never;
    facts.held = CapabilitySet::empty();
    assert_eq!(verdict(&checks(&facts)), Kind::Fine);
}

#[test]
fn no_line_of_the_table_is_wider_than_the_terminal() {
    let (_dir, mut facts) = bare();
    facts.held = CapabilitySet::empty();
    let text = table::render(&facts, &checks(&facts), plain(100));
    let path = facts.roots.sys.display().to_string();
    // A path of the test's directory may not fit anywhere.
    for line in text.lines().filter(|line| !line.contains(&path)).skip(1) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!text.contains('\x1b'));
    assert!(text.contains("Cannot run, or not for sure: lifecycle, syscalls, scheduler,"));
}

#[test]
fn json_carries_the_same_rows() {
    let (_dir, facts) = bare();
    let rows = checks(&facts);
    let text = json(&facts, &rows, verdict(&rows)).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["checks"].as_array().unwrap().len(), rows.len());
    assert_eq!(value["ok"], false);
    assert_eq!(value["checks"][0]["state"], "missing");
    assert_eq!(value["kernel"], facts.host.release);
}
