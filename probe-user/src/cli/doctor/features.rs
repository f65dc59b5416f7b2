//! Rows about what programs and maps can do on this kernel.

use super::{Check, Facts, State};
use crate::{
    kernel::{
        features::{Feature, Support},
        memlock::Memlock,
    },
    privileges::{self, Need, Task},
};

const AREA: &str = "kernel features";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks: Vec<_> = facts
        .features
        .iter()
        .map(|(feature, answer)| row(facts, feature, answer))
        .collect();
    checks.push(memlock(facts));
    checks
}

fn row(facts: &Facts, feature: Feature, answer: &Support) -> Check {
    let name = feature.name();
    match answer {
        Support::Yes if feature == Feature::RunStatistics => {
            Check::new(AREA, name, State::Ok, statistics(facts))
        }
        Support::Yes => Check::new(AREA, name, State::Ok, "works"),
        Support::No(why) => Check::new(
            AREA,
            name,
            State::Degraded,
            format!("{why}; {}", feature.without()),
        ),
        Support::Unknown(error) => {
            let missing = needed(feature).missing_from(facts.held);
            let check = |detail| Check::new(AREA, name, State::Unknown, detail);
            if !missing.is_empty() {
                return check(format!(
                    "cannot be asked without {}",
                    privileges::names(missing)
                ));
            }
            check(error.to_string()).with_remedy(
                "a user namespace, seccomp or a security module is in the way; run on the host itself",
            )
        }
    }
}

fn needed(feature: Feature) -> &'static Need {
    Need::of(if feature == Feature::RunStatistics {
        Task::RunStatistics
    } else {
        Task::Probes
    })
}

fn statistics(facts: &Facts) -> &'static str {
    match (facts.config.program_stats, facts.host.bpf_stats_enabled) {
        (true, _) => "works, and `program_stats` asks for it",
        (false, Some(value)) if value != 0 => "works, on for all programs of the host",
        (false, _) => "works; off, see `program_stats` in the configuration",
    }
}

fn memlock(facts: &Facts) -> Check {
    let name = "locked memory limit";
    let missing = Need::of(Task::Memlock).missing_from(facts.held);
    match facts.memlock {
        Memlock::NotCharged => {
            Check::new(AREA, name, State::Ok, "does not count maps on this kernel")
        }
        Memlock::Charged(None) => Check::new(AREA, name, State::Ok, "unlimited"),
        Memlock::Charged(Some(bytes)) if missing.is_empty() => Check::new(
            AREA,
            name,
            State::Ok,
            format!("{bytes} bytes, lifted when probes start"),
        ),
        Memlock::Charged(Some(bytes)) => Check::new(
            AREA,
            name,
            State::Degraded,
            format!("{bytes} bytes for all maps"),
        )
        .with_remedy("start with `ulimit -l unlimited`, or grant CAP_SYS_RESOURCE"),
        Memlock::Unknown => Check::new(
            AREA,
            name,
            State::Unknown,
            "no map could be made to find out",
        ),
    }
}
