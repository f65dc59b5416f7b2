//! Which containers have series, and with how much detail.

use std::time::{Duration, Instant};

use super::*;
use crate::metrics::{
    SELF_RESERVE,
    families::{SCHED_ONCPU, SCHED_RUNQUEUE_LATENCY, SYSCALL_ERRORS, SYSCALLS},
};

/// A registry with shares for so many containers.
fn with_room_for(containers: usize) -> Registry {
    let at = |total| {
        let budgets = Budgets {
            total,
            ..Budgets::default()
        };
        Registry::new("n", budgets)
    };
    let has_room = |total: &usize| at(*total).container_counts().limit >= containers;
    at((SELF_RESERVE..).step_by(50).find(has_room).unwrap())
}

/// Value of all series of a container in a family of counters.
fn total_of(registry: &Registry, desc: &Desc, container: &str) -> u64 {
    let family = registry
        .families()
        .iter()
        .find(|it| it.desc.name == desc.name);
    let own = family
        .unwrap()
        .iter()
        .filter(|series| &*series.labels[2] == container);
    own.map(|series| match &series.value {
        Value::Counter(count) => *count,
        Value::Gauge(_) => 0,
        Value::Histogram(histogram) => histogram.count(),
    })
    .sum()
}

fn has_call(registry: &Registry, container: &str, call: &str) -> bool {
    let family = registry.families().iter();
    let mut series = family
        .filter(|it| it.desc.name == SYSCALLS.name)
        .flat_map(Family::iter);
    series.any(|series| &*series.labels[2] == container && &*series.labels[3] == call)
}

/// What a busy container does in one collection.
fn work(registry: &mut Registry, container: &str, calls: usize) {
    for call in 0..calls {
        let call = format!("call-{call}");
        registry.add(&SYSCALLS, &["", "", container, &call], 10);
        registry.add(&SYSCALL_ERRORS, &["", "", container, &call, "EINVAL"], 1);
    }
    let mut waits = Histogram::EMPTY;
    waits.observe(1_000);
    registry.observe(&SCHED_RUNQUEUE_LATENCY, &["", "", container], &waits);
    registry.add_ns(&SCHED_ONCPU, &["", "", container], 5);
}

#[test]
fn every_container_of_a_busy_host_has_its_exact_total_in_each_family() {
    const CONTAINERS: usize = 500;
    const CALLS: usize = 83;
    let mut registry = Registry::new("n", Budgets::default());
    for round in 1..=3 {
        registry.begin(Instant::now() + Duration::from_secs(round * 40));
        for container in 0..CONTAINERS {
            work(&mut registry, &format!("c{container}"), CALLS);
        }
    }
    for container in 0..CONTAINERS {
        let container = format!("c{container}");
        let total = |desc| total_of(&registry, desc, &container);
        assert_eq!(total(&SYSCALLS), 3 * 10 * CALLS as u64, "{container}");
        assert_eq!(total(&SYSCALL_ERRORS), 3 * CALLS as u64, "{container}");
        assert_eq!(total(&SCHED_RUNQUEUE_LATENCY), 3, "{container}");
        assert_eq!(total(&SCHED_ONCPU), 15, "{container}");
    }
    assert_eq!(total_of(&registry, &SYSCALLS, "~other"), 0);
    assert!(registry.time_series() <= crate::metrics::TOTAL);
}

#[test]
fn a_container_that_comes_to_a_busy_host_has_series_for_its_own_calls() {
    let mut registry = Registry::new("n", Budgets::default());
    for container in 0..200 {
        work(&mut registry, &format!("c{container}"), 83);
    }
    registry.add(&SYSCALLS, &["", "", "new", "ioprio_get"], 4_000);
    registry.add(
        &SYSCALL_ERRORS,
        &["", "", "new", "ioprio_get", "ESRCH"],
        150,
    );
    assert!(has_call(&registry, "new", "ioprio_get"));
    assert_eq!(total_of(&registry, &SYSCALLS, "new"), 4_000);
    assert_eq!(total_of(&registry, &SYSCALL_ERRORS, "new"), 150);
}

#[test]
fn all_families_have_the_same_containers_and_the_rest_is_one_sum() {
    let mut registry = with_room_for(16);
    for container in 0..100 {
        work(&mut registry, &format!("c{container}"), 5);
    }
    let counts = registry.container_counts();
    assert_eq!(counts.shown + counts.folded, 100, "{counts:?}");
    for desc in [
        &SYSCALLS,
        &SYSCALL_ERRORS,
        &SCHED_RUNQUEUE_LATENCY,
        &SCHED_ONCPU,
    ] {
        let shown = (0..100).filter(|at| total_of(&registry, desc, &format!("c{at}")) > 0);
        assert_eq!(shown.count(), counts.shown, "{}", desc.name);
    }
    let folded = counts.folded as u64;
    assert_eq!(total_of(&registry, &SYSCALLS, "~other"), 50 * folded);
    assert_eq!(total_of(&registry, &SYSCALL_ERRORS, "~other"), 5 * folded);
    assert_eq!(
        total_of(&registry, &SCHED_RUNQUEUE_LATENCY, "~other"),
        folded
    );
    assert_eq!(total_of(&registry, &SCHED_ONCPU, "~other"), 5 * folded);
}

#[test]
fn a_container_that_waits_longest_gets_the_share_that_becomes_free_and_keeps_what_it_counts_from_then()
 {
    let start = Instant::now();
    let mut registry = with_room_for(8);
    let limit = registry.container_counts().limit;
    let young = limit - limit / 8;
    for container in 0..young {
        work(&mut registry, &format!("c{container}"), 1);
    }
    for (seconds, name) in [(1, "first"), (2, "second")] {
        registry.begin(start + Duration::from_secs(seconds));
        work(&mut registry, name, 1);
    }
    assert_eq!(registry.container_counts().folded, 2);
    registry.retire("", "", "c0", start);
    registry.sweep(start + RETAIN);
    // Old ones may take the shares that are left to them as well.
    registry.begin(start + Duration::from_secs(10));
    for name in ["second", "first"] {
        work(&mut registry, name, 1);
    }
    assert_eq!(total_of(&registry, &SYSCALLS, "first"), 10);
    assert_eq!(total_of(&registry, &SYSCALLS, "second"), 0);
    assert_eq!(total_of(&registry, &SYSCALLS, "~other"), 30);
}

#[test]
fn short_lived_containers_leave_shares_to_those_that_live_on() {
    let start = Instant::now();
    let mut registry = with_room_for(16);
    for container in 0..100 {
        work(&mut registry, &format!("short-{container}"), 1);
    }
    work(&mut registry, "service", 1);
    assert_eq!(total_of(&registry, &SYSCALLS, "service"), 0);
    for container in 0..100 {
        registry.retire("", "", &format!("short-{container}"), start);
    }
    registry.begin(start + Duration::from_secs(61));
    work(&mut registry, "service", 1);
    assert_eq!(total_of(&registry, &SYSCALLS, "service"), 10);
}

#[test]
fn a_container_gets_series_for_its_top_calls_after_a_minute_though_the_pool_is_empty() {
    let start = Instant::now();
    let mut registry = Registry::new("n", Budgets::default());
    for container in 0..400 {
        // What a runtime calls when it starts a container.
        work(&mut registry, &format!("c{container}"), 200);
    }
    registry.begin(start + Duration::from_secs(61));
    registry.add(&SYSCALLS, &["", "", "c399", "hot"], 1_000_000);
    assert!(has_call(&registry, "c399", "hot"));
}

#[test]
fn one_container_cannot_take_the_whole_pool() {
    let mut registry = Registry::new("n", Budgets::default());
    work(&mut registry, "greedy", 10_000);
    work(&mut registry, "modest", 100);
    assert!((0..100).all(|call| has_call(&registry, "modest", &format!("call-{call}"))));
    assert_eq!(total_of(&registry, &SYSCALLS, "greedy"), 100_000);
}

#[test]
fn the_total_is_never_exceeded_whatever_comes_and_goes() {
    let total = 5_000;
    let budgets = Budgets {
        total,
        ..Budgets::default()
    };
    let mut registry = Registry::new("n", budgets);
    let start = Instant::now();
    // An arithmetic sequence that meets all residues.
    let mut number = 0_usize;
    let mut calls = 0;
    for step in 0..200_u64 {
        let now = start + Duration::from_secs(7 * step);
        registry.begin(now);
        for _ in 0..40 {
            number = (number + 7_919) % 100_003;
            let container = format!("c{}", number % 97);
            work(&mut registry, &container, number % 23);
            if number.is_multiple_of(11) {
                registry.retire("", "", &container, now);
            }
        }
        registry.sweep(now);
        calls = calls.max(registry.time_series());
        assert!(
            registry.time_series() <= total,
            "{} in step {step}",
            registry.time_series()
        );
    }
    assert!(calls > 500, "{calls}");
    for container in 0..97 {
        registry.retire("", "", &format!("c{container}"), start);
    }
    // After the last one that retired in a step.
    registry.sweep(start + Duration::from_secs(7 * 200) + RETAIN);
    let counts = registry.container_counts();
    assert_eq!(
        (counts.shown, counts.folded),
        (0, 0),
        "every share is given back"
    );
}

#[test]
fn gauges_of_containers_without_a_share_add_up() {
    let mut registry = with_room_for(8);
    registry.clear(&families::FLOW_ACTIVE);
    for container in 0..50 {
        registry.sum(
            &families::FLOW_ACTIVE,
            &["", "", &container.to_string()],
            2.0,
        );
    }
    let family = registry.families().iter();
    let values = family
        .filter(|it| it.desc.name == families::FLOW_ACTIVE.name)
        .flat_map(Family::iter)
        .map(|series| match series.value {
            Value::Gauge(value) => value,
            _ => 0.0,
        });
    assert_eq!(values.sum::<f64>(), 100.0);
}
