//! Rows that sum up: each probe is attached for a moment, and says itself whether it works.

use super::{Check, Facts, State};
use crate::{
    kernel::{features::tracing_allowed, host::Lockdown},
    logs::chain,
    model::FeatureState,
    privileges::{Need, Task, names},
    probes::REGISTRY,
    session::{Enabled, Plan, Session},
};

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let plan = Plan {
        roots: facts.roots.clone(),
        ..Plan::from(&facts.config)
    };
    let wanted = |name: &str| plan.probes.get(name).is_some_and(|e| *e != Enabled::Never);
    if let Some((why, remedy)) = obstacle(facts) {
        return all(&why, &remedy, wanted);
    }
    // All of them may fail here, which a row says better than an error.
    let plan = Plan {
        probes: plan
            .probes
            .iter()
            .filter(|(_, enabled)| **enabled != Enabled::Never)
            .map(|(name, _)| (*name, Enabled::Auto))
            .collect(),
        ..plan.clone()
    };
    match Session::start(&plan) {
        Ok(session) => session
            .states()
            .iter()
            .map(|(name, state)| row(name, state))
            .collect(),
        Err(error) => all(&chain(&error), OTHER_KERNEL, wanted),
    }
}

const OTHER_KERNEL: &str = "boot a kernel of a current distribution, with BTF";

/// The same answer for every probe that is wanted.
fn all(why: &str, remedy: &str, wanted: impl Fn(&str) -> bool) -> Vec<Check> {
    REGISTRY
        .iter()
        .map(|spec| {
            if wanted(spec.name) {
                Check::new(Check::PROBES, spec.name, State::Missing, why).with_remedy(remedy)
            } else {
                row(spec.name, &FeatureState::Off)
            }
        })
        .collect()
}

/// What stands in the way of all probes, and what to do about it.
pub(super) fn obstacle(facts: &Facts) -> Option<(String, String)> {
    let missing = Need::of(Task::Probes).missing_from(facts.held);
    if !missing.is_empty() {
        let caps = names(missing);
        return Some((
            format!("lacks {caps}"),
            format!("run as root, or grant {caps}"),
        ));
    }
    if !tracing_allowed(facts.host.lockdown) {
        let why = format!("lockdown is {}", Lockdown::Confidentiality.name());
        return Some((why, "boot with lockdown=integrity".into()));
    }
    if facts.btf.is_err() {
        let why = "needs the kernel's type information (BTF)".into();
        return Some((why, "boot a kernel with CONFIG_DEBUG_INFO_BTF=y".into()));
    }
    None
}

fn row(name: &'static str, state: &FeatureState) -> Check {
    let check = |state, detail: &str| Check::new(Check::PROBES, name, state, detail);
    match state {
        FeatureState::On => check(State::Ok, "works: attached, and detached again"),
        FeatureState::Off => check(State::Ok, "off in the configuration"),
        FeatureState::Degraded(why) => check(State::Degraded, &format!("works with less: {why}")),
        FeatureState::Unsupported(why) => check(State::Missing, why).with_remedy(OTHER_KERNEL),
        FeatureState::Failed(why) => check(State::Missing, why)
            .with_remedy("run `nodeprobe agent --log-level debug` and report what it says"),
    }
}
