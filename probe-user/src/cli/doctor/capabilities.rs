//! Rows about privileges: what is held, and what each task still lacks.

use rustix::thread::CapabilitySet;

use super::{Check, Facts, State, translation};
use crate::{
    kernel::memlock::Memlock,
    privileges::{NEEDS, Need, Task, names},
    session::TranslationScope,
};

const AREA: &str = "privileges";

/// Capabilities that matter to this or later probes.
const OF_INTEREST: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::SYS_RESOURCE);

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let held = facts.held & OF_INTEREST;
    let short = |set| names(set).replace("CAP_", "");
    let held = Check::new(AREA, "held", State::Ok, short(held));
    std::iter::once(held)
        .chain(NEEDS.iter().map(|need| row(facts, need)))
        .collect()
}

fn row(facts: &Facts, need: &Need) -> Check {
    let missing = need.missing_from(facts.held);
    if missing.is_empty() {
        return Check::new(
            AREA,
            need.what,
            State::Ok,
            format!("has {}", names(need.capabilities)),
        );
    }
    if !is_needed(facts, need.task) {
        let detail = format!("not needed ({})", need.why);
        return Check::new(AREA, need.what, State::Ok, detail);
    }
    let state = if need.required {
        State::Missing
    } else {
        State::Degraded
    };
    Check::new(
        AREA,
        need.what,
        state,
        format!("lacks {}: {}", names(missing), need.why),
    )
    .with_remedy(format!("run as root, or grant {}", names(missing)))
}

fn is_needed(facts: &Facts, task: Task) -> bool {
    match task {
        Task::Probes => true,
        Task::Memlock => matches!(facts.memlock, Memlock::Charged(Some(_))),
        Task::RunStatistics => facts.config.program_stats,
        Task::Translation => translation::scope(facts).is_some(),
        Task::TranslationEverywhere => translation::scope(facts) == Some(TranslationScope::All),
    }
}
