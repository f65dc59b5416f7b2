//! Every metric family, in the order in which they are shown.
//!
//! The `container` label of a container outside Kubernetes is its name at the runtime, with empty `namespace` and
//! `pod`; parts of the host have the namespace `~host`, what could not be resolved `~unknown`.

mod kubernetes;
mod network;
mod own;
mod policy;
mod scheduler;
mod syscalls;

use super::{
    Bounds, Desc, Kind, Unit,
    desc::{CONTAINER_LABELS, PREFIX},
};

pub use kubernetes::*;
pub use network::*;
pub use own::*;
pub use policy::*;
pub use scheduler::*;
pub use syscalls::*;

/// All families.
pub static ALL: &[&Desc] = &[
    &SYSCALLS,
    &SYSCALL_ERRORS,
    &SYSCALL_DURATION,
    &SYSCALL_EXACT_DURATION,
    &SCHED_RUNQUEUE_LATENCY,
    &SCHED_OFFCPU,
    &SCHED_OFFCPU_DURATION,
    &SCHED_ONCPU,
    &SCHED_CONTEXT_SWITCHES,
    &SCHED_PREEMPTIONS,
    &TCP_CONNECT_DURATION,
    &TCP_ACCEPT_DURATION,
    &TCP_RTT,
    &TCP_CONNECTS,
    &TCP_CONNECTIONS,
    &TCP_CLOSED,
    &TCP_FAILED_CONNECTS,
    &TCP_RETRANSMITS,
    &TCP_SEGMENTS_SENT,
    &TCP_SEGMENTS_RETRANSMITTED,
    &TCP_LISTEN_DROPS,
    &TCP_RESETS,
    &FLOW_BYTES,
    &FLOW_PACKETS,
    &FLOW_ACTIVE,
    &FLOW_LEFT_OUT,
    &DNS_LOOKUPS,
    &DNS_LOOKUP_DURATION,
    &CONTAINER_PACKET_DROPS,
    &NODE_PACKET_DROPS,
    &NODE_PACKETS_FREED,
    &POLICY_VERDICTS,
    &POLICY_GAPS,
    &POLICY_BREAKAGES,
    &POLICY_RULE_MATCHES,
    &POLICY_PENDING_CHANGES,
    &POLICY_OBJECTS,
    &POLICY_GENERATION,
    &POLICY_STALE,
    &POD,
    &POD_LABEL,
    &KUBERNETES_WATCH,
    &KUBERNETES_STALENESS,
    &KUBERNETES_OBJECTS,
    &KUBERNETES_LISTS,
    &KUBERNETES_REQUESTS,
    &KUBERNETES_RECEIVED,
    &KUBERNETES_MALFORMED,
    &KUBERNETES_EVENTS,
    &BUILD,
    &RECORDS_LOST,
    &UNATTRIBUTED,
    &PROGRAM_UP,
    &PROGRAM_RUN,
    &PROGRAM_RUNS,
    &MAP_ENTRIES,
    &MAP_CAPACITY,
    &MAP_BYTES,
    &SERIES,
    &SERIES_LIMIT,
    &SERIES_OVERFLOW,
    &SERIES_CONTAINERS,
    &SERIES_CONTAINERS_LIMIT,
    &SAMPLING_RATIO,
    &FEATURE_STATE,
    &COLLECT_DURATION,
    &COLLECT_SUCCESS,
    &CONTAINERS,
    &UNNAMED_CONTAINERS,
    &IDENTITIES_EVICTED,
    &LOG_LINES_LOST,
    &FLOW_LOG_RECORDS,
    &FLOW_LOG_BYTES,
    &FLOW_LOG_WAITING,
    &FLOW_LOG_FAILURES,
    &FLOW_TRANSLATIONS,
    &EVENT_LOG_RECORDS,
    &HTTP_REQUESTS,
    &HTTP_CONNECTIONS_DROPPED,
    &PROCESS_CPU,
    &PROCESS_RESIDENT_MEMORY,
    &PROCESS_START_TIME,
    &PROCESS_OPEN_FDS,
];

/// The family with this name; the prefix may be left out.
pub fn by_name(name: &str) -> Option<&'static Desc> {
    ALL.iter()
        .copied()
        .find(|d| d.name == name || d.name.strip_prefix(PREFIX) == Some(name))
}

/// The name that is most like a mistyped one, with or without the prefix as that is written.
pub fn nearest(typed: &str) -> Option<&'static str> {
    /// Below it two names only share some letters.
    const ALIKE: f64 = 0.8;
    let prefixed = typed.starts_with(PREFIX);
    let alike = |desc: &&'static Desc| {
        let short = desc.name.strip_prefix(PREFIX).unwrap_or(desc.name);
        let name = if prefixed { desc.name } else { short };
        // The prefix would make all names alike.
        let typed = typed.strip_prefix(PREFIX).unwrap_or(typed);
        (strsim::jaro_winkler(typed, short), name)
    };
    let best = ALL.iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// Most time series that one container has reserved in a family.
const MAX_SHARE: usize = 32;

/// Whether the third label is `container`: what [`Desc::per_container`] says, while compiling.
const fn is_by_container(labels: &[&str]) -> bool {
    if labels.len() < CONTAINER_LABELS.len() {
        return false;
    }
    let (label, wanted) = (labels[2].as_bytes(), CONTAINER_LABELS[2].as_bytes());
    if label.len() != wanted.len() {
        return false;
    }
    let mut at = 0;
    while at < wanted.len() {
        if label[at] != wanted[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    budget: usize,
) -> Desc {
    assert!(
        budget <= MAX_SHARE || !is_by_container(labels),
        "the budget of a family by container is what each single container has reserved"
    );
    Desc {
        name,
        help,
        kind: Kind::Counter,
        unit: Unit::None,
        labels,
        budget,
        default_on: true,
    }
}

const fn seconds_counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    budget: usize,
) -> Desc {
    Desc {
        kind: Kind::SecondsCounter,
        unit: Unit::Seconds,
        ..counter(name, help, labels, budget)
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    unit: Unit,
    labels: &'static [&'static str],
    budget: usize,
) -> Desc {
    Desc {
        kind: Kind::Gauge,
        unit,
        ..counter(name, help, labels, budget)
    }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    bounds: Bounds,
    labels: &'static [&'static str],
    budget: usize,
) -> Desc {
    Desc {
        kind: Kind::Histogram(bounds),
        unit: Unit::Seconds,
        ..counter(name, help, labels, budget)
    }
}

const fn off_by_default(desc: Desc) -> Desc {
    Desc {
        default_on: false,
        ..desc
    }
}

/// Labels of a container, without `node`, which the registry adds.
const C: &[&str] = &CONTAINER_LABELS;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::metrics::SELF_RESERVE;

    #[test]
    fn names_spell_prefix_unit_and_type() {
        let mut seen = HashSet::new();
        for desc in ALL {
            let name = desc.name;
            assert!(seen.insert(name), "{name} twice");
            assert!(
                name.starts_with(PREFIX) || name.starts_with("process_"),
                "{name}"
            );
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{name}"
            );
            let unit = desc.unit.name();
            let separator = if unit.is_empty() { "" } else { "_" };
            assert_eq!(
                name,
                format!("{}{separator}{unit}{}", desc.stem(), desc.kind.suffix())
            );
            for reserved in ["_total", "_info", "_count", "_sum", "_bucket"] {
                assert!(!desc.stem().ends_with(reserved), "{name}");
                assert!(
                    !name.ends_with(reserved) || desc.kind.suffix() == reserved,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn help_needs_no_escaping_in_any_format() {
        for desc in ALL {
            assert!(desc.help.ends_with('.'), "{}", desc.name);
            assert!(!desc.help.contains(['"', '\\', '\n']), "{}", desc.name);
        }
    }

    #[test]
    fn the_caps_of_the_probes_own_families_fit_their_reserve() {
        let own = ALL.iter().filter(|d| d.default_on && !d.per_container());
        assert!(own.map(|d| d.budget).sum::<usize>() <= SELF_RESERVE);
        let by_family = [&SERIES, &SERIES_LIMIT, &SERIES_OVERFLOW];
        assert!(by_family.iter().all(|d| d.budget >= ALL.len()));
    }

    /// 110 pods with a sandbox and three containers each, and the units of the host.
    #[test]
    fn the_defaults_show_every_container_of_a_full_node_from_the_start() {
        let on = ALL.iter().filter(|d| d.default_on && d.per_container());
        let share: usize = on.map(|d| d.budget).sum();
        let most = crate::metrics::budgets::Budgets::default()
            .plan(share)
            .containers;
        assert!(most - most / 8 >= 110 * 4 + 60, "{most} of {share} each");
    }

    #[test]
    fn what_is_reserved_for_a_container_has_all_its_unsplit_series() {
        for desc in ALL.iter().filter(|d| d.per_container()) {
            assert!(desc.budget >= desc.kind.cost(), "{}", desc.name);
            assert!(is_by_container(desc.labels), "{}", desc.name);
        }
    }

    #[test]
    fn families_are_found_with_and_without_prefix() {
        assert!(std::ptr::eq(
            by_name("syscalls_total").unwrap(),
            &raw const SYSCALLS
        ));
        assert!(std::ptr::eq(
            by_name("nodeprobe_syscalls_total").unwrap(),
            &raw const SYSCALLS
        ));
        assert!(by_name("syscalls").is_none());
    }

    #[test]
    fn a_mistyped_name_finds_its_family() {
        assert_eq!(nearest("syscall_total"), Some("syscalls_total"));
        assert_eq!(
            nearest("nodeprobe_syscal_errors_total"),
            Some("nodeprobe_syscall_errors_total")
        );
        assert_eq!(nearest("typo"), None);
    }
}
