//! What is doubtful about policies, judged by the pods that there are.

mod isolation;
mod matrix;
mod redundant;
mod tries;

use serde::Serialize;

pub use matrix::{Cell, Matrix};

use super::Engine;
use crate::model::{Body, Direction, Peer, Rule};

/// What is doubtful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// An API server would refuse the policy.
    Invalid,
    /// The policy is about no pod.
    SelectsNothing,
    /// A peer of a rule matches no pod.
    PeerMatchesNothing,
    /// Whatever a rule allows, another one allows as well.
    Redundant,
    /// Whatever a rule of a cluster-wide policy matches, something before it decides.
    Shadowed,
    /// Cluster-wide policies of one priority are about the same pods.
    SamePriority,
    /// Workloads of a namespace are isolated by no policy.
    NotIsolated,
    /// No recorded connection was allowed or denied by the rule.
    Unused,
}

/// Something doubtful, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// What.
    pub doubt: Doubt,
    /// The policy, such as `NetworkPolicy shop/web-in`, or the namespace.
    pub object: String,
    /// Path of the field, such as `spec.ingress[0].from[1]`; empty for all of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// For people.
    pub message: String,
}

/// A rule, by the index of its policy, its direction and its own index.
pub type RuleId = (u32, Direction, u16);

impl Engine {
    /// All that is doubtful, in order.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_subjects(&mut problems);
        self.check_peers(&mut problems);
        self.check_priorities(&mut problems);
        self.check_isolation(&mut problems);
        self.check_redundancy(&mut problems);
        problems.sort();
        problems
    }

    /// Rules that are in none of these, which recorded traffic had to do with.
    pub fn unused(&self, used: impl Fn(RuleId) -> bool) -> Vec<Problem> {
        let unused = |(index, direction, number, _): (u32, Direction, usize, &Rule)| {
            let id = (index, direction, u16::try_from(number).ok()?);
            (!used(id)).then(|| Problem {
                doubt: Doubt::Unused,
                object: self.policy(index).to_string(),
                field: field(direction, number),
                message: "no recorded connection has to do with this rule".to_owned(),
            })
        };
        let mut problems: Vec<_> = self.rules().into_iter().filter_map(unused).collect();
        problems.sort();
        problems
    }

    /// All rules of all policies.
    fn rules(&self) -> Vec<(u32, Direction, usize, &Rule)> {
        let mut all = Vec::new();
        for (index, policy) in (0..).zip(&self.cluster.policies) {
            for direction in Direction::BOTH {
                let rules = policy.rules(direction);
                let numbered = rules.iter().enumerate();
                all.extend(numbered.map(|(number, rule)| (index, direction, number, rule)));
            }
        }
        all
    }

    fn check_subjects(&self, problems: &mut Vec<Problem>) {
        let have_subjects = self.compiled.have_subjects();
        for (index, policy) in self.cluster.policies.iter().enumerate() {
            let (doubt, message) = match policy.body {
                Body::Invalid(_) => (
                    Doubt::Invalid,
                    "an API server refuses it; what it could change is not known",
                ),
                _ if !have_subjects.contains(index) => {
                    (Doubt::SelectsNothing, "it is about no pod of the manifests")
                }
                _ => continue,
            };
            problems.push(Problem {
                doubt,
                object: policy.to_string(),
                field: String::new(),
                message: message.to_owned(),
            });
        }
    }

    fn check_peers(&self, problems: &mut Vec<Problem>) {
        for (index, direction, number, rule) in self.rules() {
            let ends = direction.ends();
            for (at, peer) in rule.peers.iter().flatten().enumerate() {
                let is_pods = matches!(peer, Peer::Pods { .. });
                if is_pods
                    && self
                        .compiled
                        .matches_nothing(direction, (index, number, at))
                {
                    problems.push(Problem {
                        doubt: Doubt::PeerMatchesNothing,
                        object: self.policy(index).to_string(),
                        field: format!("{}.{ends}[{at}]", field(direction, number)),
                        message: format!("there are no {peer}"),
                    });
                }
            }
        }
    }
}

/// Path of a rule.
fn field(direction: Direction, number: usize) -> String {
    format!("spec.{}[{number}]", direction.list())
}
