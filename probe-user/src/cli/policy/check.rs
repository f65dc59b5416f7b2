//! `nodeprobe policy check`: what is doubtful about policies, who may talk with whom, and whether that is as expected.

mod expect;
mod show;

use std::collections::HashSet;

use probe_policy::{
    engine::{Doubt, Engine, Matrix, Problem, RuleId},
    model::Direction,
    verdict::Side,
};
use serde::Serialize;

use super::{log::Log, manifests};
use crate::{
    cli::{
        CliError, Kind,
        args::{Allowed, CheckArgs},
    },
    render::view::Row,
};
use expect::Mismatch;

/// All that was found.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Found {
    /// What is doubtful about the policies.
    problems: Vec<Problem>,
    /// Connections that are not as expected.
    mismatches: Vec<Mismatch>,
    /// Connections that were expected.
    expected: u64,
    #[serde(flatten)]
    matrix: Matrix,
}

impl Row for Found {
    const TYPE: &'static str = "policy_check";
}

/// Runs the command.
///
/// # Errors
///
/// If files cannot be read.
pub(super) fn run(args: &CheckArgs) -> Result<Kind, CliError> {
    let engine = manifests::engine(&args.manifests)?;
    let mut problems = engine.check();
    if !args.flows.is_empty() {
        let used = used(&engine, &Log::read(&args.flows)?);
        problems.append(&mut engine.unused(|rule| used.contains(&rule)));
    }
    let (expected, mismatches) = match &args.expect {
        Some(path) => expect::compare(&engine, path)?,
        None => (0, Vec::new()),
    };
    let found = Found {
        problems,
        mismatches,
        expected,
        matrix: engine.matrix(),
    };
    show::print(args.output, &found)?;
    let is_bad = |problem: &Problem| {
        !args
            .allow
            .iter()
            .any(|allowed| doubt(*allowed) == problem.doubt)
    };
    let is_fine = found.mismatches.is_empty() && !found.problems.iter().any(is_bad);
    Ok(if is_fine { Kind::Fine } else { Kind::Finding })
}

/// Rules that had a say about a recorded connection.
fn used(engine: &Engine, log: &Log) -> HashSet<RuleId> {
    let mut used = HashSet::new();
    for talk in log.talks.keys() {
        let verdict = engine.judge(&talk.connection(engine));
        let sides: [(Direction, &Side); 2] = [
            (Direction::Egress, &verdict.egress),
            (Direction::Ingress, &verdict.ingress),
        ];
        for (direction, side) in sides {
            let hits = side
                .hits
                .iter()
                .chain(&side.passed)
                .filter(|hit| hit.miss.is_none());
            used.extend(hits.filter_map(|hit| Some((hit.policy, direction, hit.rule?))));
        }
    }
    used
}

fn doubt(allowed: Allowed) -> Doubt {
    match allowed {
        Allowed::Invalid => Doubt::Invalid,
        Allowed::SelectsNothing => Doubt::SelectsNothing,
        Allowed::PeerMatchesNothing => Doubt::PeerMatchesNothing,
        Allowed::Redundant => Doubt::Redundant,
        Allowed::Shadowed => Doubt::Shadowed,
        Allowed::SamePriority => Doubt::SamePriority,
        Allowed::NotIsolated => Doubt::NotIsolated,
        Allowed::Unused => Doubt::Unused,
    }
}
