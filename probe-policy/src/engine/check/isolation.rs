//! Pods that nobody isolates, and policies that are about the same pods in no order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Doubt, Problem};
use crate::{
    engine::Engine,
    model::{Direction, Phase},
};

impl Engine {
    pub(super) fn check_isolation(&self, problems: &mut Vec<Problem>) {
        // Workloads of each namespace: all, and those that are open, by direction.
        let mut open: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
        let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (index, pod) in (0..).zip(&self.cluster.pods) {
            if !self.is_policed(index) || pod.phase == Phase::Ended {
                continue;
            }
            let name = pod.workload().name;
            all.entry(&pod.namespace).or_default().insert(name.clone());
            for direction in Direction::BOTH {
                let about = self.about_pod(index, direction);
                if about.isolating.is_empty() && about.baseline.is_empty() {
                    open.entry((&pod.namespace, direction.list()))
                        .or_default()
                        .insert(name.clone());
                }
            }
        }
        for ((namespace, word), names) in open {
            let of = all.get(namespace).map_or(0, BTreeSet::len);
            let examples: Vec<_> = names.iter().take(3).map(String::as_str).collect();
            let more = if names.len() > examples.len() {
                ", …"
            } else {
                ""
            };
            problems.push(Problem {
                doubt: Doubt::NotIsolated,
                object: format!("Namespace {namespace}"),
                field: String::new(),
                message: format!(
                    "no policy isolates {} of {of} workloads against {word}: {}{more}",
                    names.len(),
                    examples.join(", ")
                ),
            });
        }
    }

    pub(super) fn check_priorities(&self, problems: &mut Vec<Problem>) {
        let mut pairs = BTreeSet::new();
        for identity in 0..self.identities.all.len() {
            let Ok(identity) = u32::try_from(identity) else {
                break;
            };
            let about = self.compiled.about(identity, Direction::Ingress);
            for policies in [&about.admin, &about.baseline] {
                for equals in policies.chunk_by(|(one, _), (other, _)| one == other) {
                    pairs.extend(equals.windows(2).map(|pair| (pair[0], pair[1].1)));
                }
            }
        }
        for ((priority, one), other) in pairs {
            problems.push(Problem {
                doubt: Doubt::SamePriority,
                object: self.policy(one).to_string(),
                field: "spec.priority".to_owned(),
                message: format!(
                    "{} has {priority} too, and is about the same pods",
                    self.policy(other)
                ),
            });
        }
    }
}
