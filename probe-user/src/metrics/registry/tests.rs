//! What the registry promises.

use std::time::{Duration, Instant};

use super::*;
use crate::metrics::{
    Format, SharedRegistry,
    families::{
        SCHED_CONTEXT_SWITCHES, SCHED_OFFCPU, SCHED_PREEMPTIONS, SCHED_RUNQUEUE_LATENCY, SYSCALLS,
    },
};

fn capped(caps: &[(&str, usize)]) -> Budgets {
    let families = caps
        .iter()
        .map(|(name, cap)| ((*name).to_owned(), *cap))
        .collect();
    Budgets {
        families,
        ..Budgets::default()
    }
}

/// Value of the counter with these labels.
fn counter(registry: &Registry, desc: &Desc, labels: &[&str]) -> Option<u64> {
    let family = registry
        .families()
        .iter()
        .find(|f| f.desc.name == desc.name)?;
    family
        .iter()
        .find(|s| s.has(labels))
        .map(|s| match s.value {
            Value::Counter(count) => count,
            _ => panic!("not a counter"),
        })
}

/// Sum of the counters whose labels are of this kind.
fn sum(registry: &Registry, desc: &Desc, of: impl Fn(&[&str]) -> bool) -> u64 {
    let families = registry.families().iter();
    let series = families
        .filter(|family| family.desc.name == desc.name)
        .flat_map(Family::iter);
    let counts = series.filter_map(|series| {
        let labels: Vec<&str> = series.labels.iter().map(AsRef::as_ref).collect();
        match series.value {
            Value::Counter(count) if of(&labels) => Some(count),
            _ => None,
        }
    });
    counts.sum()
}

fn scrape(metrics: &SharedRegistry, now: Instant) -> String {
    String::from_utf8(metrics.render(Format::Text, now).unwrap()).unwrap()
}

#[test]
fn deltas_add_up() {
    let mut registry = Registry::new("n", Budgets::default());
    for _ in 0..3 {
        registry.add(&SYSCALLS, &["a", "b", "c", "read"], 7);
    }
    assert_eq!(
        counter(&registry, &SYSCALLS, &["a", "b", "c", "read"]),
        Some(21)
    );
    assert_eq!(registry.time_series(), 1);
}

#[test]
fn a_zero_delta_makes_no_series() {
    let mut registry = Registry::new("n", Budgets::default());
    registry.add(&SYSCALLS, &["a", "b", "c", "read"], 0);
    registry.observe(&SCHED_RUNQUEUE_LATENCY, &["a", "b", "c"], &Histogram::EMPTY);
    assert_eq!(registry.time_series(), 0);
}

#[test]
fn a_capped_family_keeps_the_first_details_and_the_sum_of_each_container() {
    let mut registry = Registry::new("n", capped(&[("syscalls_total", 10)]));
    for round in 1..=3 {
        for container in 0..25 {
            registry.add(&SYSCALLS, &["", "", &container.to_string(), "read"], round);
        }
    }
    let of =
        |container: &str, call: &str| counter(&registry, &SYSCALLS, &["", "", container, call]);
    assert_eq!(of("9", "read"), Some(6));
    assert_eq!(of("10", "read"), None);
    assert_eq!(of("10", "~other"), Some(6));
    assert_eq!(of("24", "~other"), Some(6));
    assert_eq!(counter(&registry, &SYSCALLS, &["~other"; 4]), None);
    registry.sweep(Instant::now());
    let overflow = counter(&registry, &families::SERIES_OVERFLOW, &[SYSCALLS.name]);
    assert_eq!(overflow, Some(45));
}

#[test]
fn a_family_with_a_cap_of_nothing_has_one_sum_of_all_containers() {
    let mut registry = Registry::new("n", capped(&[("syscalls_total", 0)]));
    for container in 0..25 {
        registry.add(&SYSCALLS, &["", "", &container.to_string(), "read"], 2);
    }
    assert_eq!(counter(&registry, &SYSCALLS, &["~other"; 4]), Some(50));
    assert_eq!(sum(&registry, &SYSCALLS, |_| true), 50);
}

#[test]
fn overflow_keeps_the_labels_that_have_a_handful_of_values() {
    let mut registry = Registry::new("n", capped(&[("sched_context_switches_total", 0)]));
    registry.add(&SCHED_CONTEXT_SWITCHES, &["a", "b", "c", "voluntary"], 1);
    registry.add(&SCHED_CONTEXT_SWITCHES, &["x", "y", "z", "involuntary"], 2);
    let by_kind = |kind| {
        counter(
            &registry,
            &SCHED_CONTEXT_SWITCHES,
            &["~other", "~other", "~other", kind],
        )
    };
    assert_eq!(
        (by_kind("voluntary"), by_kind("involuntary")),
        (Some(1), Some(2))
    );
}

#[test]
fn overflow_is_bounded_even_where_a_bounded_label_is_not() {
    let mut registry = Registry::new("n", capped(&[("sched_offcpu_seconds_total", 0)]));
    for state in 0..100 {
        registry.add_ns(&SCHED_OFFCPU, &["a", "b", "c", &state.to_string()], 1);
    }
    assert_eq!(registry.time_series(), 3);
    assert_eq!(sum(&registry, &SCHED_OFFCPU, |_| true), 100);
}

#[test]
fn gauges_over_the_budget_are_refused_and_counted() {
    let mut registry = Registry::new("n", capped(&[("map_entries", 1)]));
    for map in ["a", "b", "a"] {
        registry.set(&families::MAP_ENTRIES, &[map], 1.0);
    }
    registry.set(&families::MAP_ENTRIES, &["c"], f64::NAN);
    registry.sweep(Instant::now());
    let family = registry
        .families()
        .iter()
        .find(|f| f.desc.name == families::MAP_ENTRIES.name)
        .unwrap();
    assert_eq!((family.time_series(), family.overflowed), (1, 1));
}

#[test]
fn raised_counters_never_fall() {
    let mut registry = Registry::new("n", Budgets::default());
    for total in [5, 9, 3] {
        registry.raise(&families::PROGRAM_RUNS, &["p"], total);
    }
    assert_eq!(counter(&registry, &families::PROGRAM_RUNS, &["p"]), Some(9));
}

#[test]
fn a_retired_series_stays_for_a_minute_whoever_scrapes_and_then_until_it_is_shown() {
    let metrics = SharedRegistry::new("n", Budgets::default());
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let shows = |at| scrape(&metrics, at).contains("container=\"gone\"");
    metrics
        .lock()
        .add(&SYSCALLS, &["ns", "pod", "gone", "read"], 4);
    metrics.lock().add(
        &SCHED_PREEMPTIONS,
        &["ns", "pod", "lives", "ns", "gone", "Pod"],
        1,
    );
    metrics.lock().retire("ns", "pod", "gone", start);
    metrics.render(Format::Json, after(1)).unwrap();
    for seconds in [1, 1, 2, 30, 31, 59] {
        assert!(shows(after(seconds)), "after {seconds} s");
    }
    assert!(!shows(after(60)));
    assert!(scrape(&metrics, after(61)).contains("by_workload=\"gone\""));
}

#[test]
fn a_retired_series_that_was_never_shown_waits_for_its_scrape() {
    let metrics = SharedRegistry::new("n", Budgets::default());
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    metrics
        .lock()
        .add(&SYSCALLS, &["ns", "pod", "gone", "read"], 4);
    metrics.lock().retire("ns", "pod", "gone", start);
    assert!(scrape(&metrics, after(500)).contains("container=\"gone\""));
    assert!(!scrape(&metrics, after(501)).contains("container=\"gone\""));
}

#[test]
fn a_retired_series_that_nobody_scrapes_goes_after_ten_minutes() {
    let mut registry = Registry::new("n", Budgets::default());
    let start = Instant::now();
    registry.add(&SYSCALLS, &["ns", "pod", "gone", "read"], 4);
    registry.retire("ns", "pod", "gone", start);
    registry.sweep(start + Duration::from_secs(599));
    assert!(counter(&registry, &SYSCALLS, &["ns", "pod", "gone", "read"]).is_some());
    registry.sweep(start + Duration::from_secs(600));
    assert!(counter(&registry, &SYSCALLS, &["ns", "pod", "gone", "read"]).is_none());
}

#[test]
fn a_retired_series_that_is_updated_lives_on_with_its_count() {
    let metrics = SharedRegistry::new("n", Budgets::default());
    let start = Instant::now();
    let labels = ["ns", "pod", "c", "read"];
    metrics.lock().add(&SYSCALLS, &labels, 4);
    metrics.lock().retire("ns", "pod", "c", start);
    scrape(&metrics, start);
    metrics.lock().add(&SYSCALLS, &labels, 0);
    metrics.lock().add(&SYSCALLS, &labels, 1);
    scrape(&metrics, start + Duration::from_secs(3600));
    assert_eq!(counter(&metrics.lock(), &SYSCALLS, &labels), Some(5));
}

#[test]
fn label_values_of_removed_series_are_forgotten() {
    let metrics = SharedRegistry::new("n", Budgets::default());
    let now = Instant::now();
    scrape(&metrics, now);
    let before = metrics.lock().interner.len();
    for round in 0..50 {
        let name = format!("c{round}");
        metrics
            .lock()
            .add(&SYSCALLS, &["ns", "pod", &name, "read"], 1);
        metrics.lock().retire("ns", "pod", &name, now);
        scrape(&metrics, now);
        scrape(&metrics, now);
    }
    scrape(&metrics, now + LINGER);
    assert_eq!(metrics.lock().interner.len(), before);
}

#[test]
fn the_series_count_counts_itself() {
    let metrics = SharedRegistry::new("n", Budgets::default());
    let text = scrape(&metrics, Instant::now());
    let samples = text.lines().filter(|l| !l.starts_with('#')).count();
    assert_eq!(metrics.lock().time_series(), samples);
    let sum: f64 = text
        .lines()
        .filter_map(|l| l.strip_prefix("nodeprobe_series{"))
        .filter_map(|l| l.split_once(' ')?.1.parse::<f64>().ok())
        .sum();
    assert_eq!(sum as usize, samples);
}
