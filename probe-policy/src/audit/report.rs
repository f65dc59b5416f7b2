//! What is said of a connection, as it stands in an audit event.

use std::fmt;

use serde::Serialize;

use super::{Assessment, Change, Judged, Outcome};
use crate::{
    engine::Engine,
    model::{Direction, Kind},
    report::Entry,
    verdict::{Caveat, Reason, Word},
};

/// The verdict of both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Combined {
    /// The word.
    pub verdict: Word,
    /// Why, where the word has a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// The part of an audit event that is about policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report<'a> {
    /// What the policies in force say, of the source first: an entry for each rule that allows or denies, and for each policy
    /// that isolates.
    pub policy_enforced: Vec<Entry<'a>>,
    /// The same with policies that are not in force yet, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_pending: Option<Vec<Entry<'a>>>,
    /// What these would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_change: Option<Change>,
    /// What both directions come to.
    pub policy_combined: Combined,
    /// What became of the connection.
    pub policy_outcome: Outcome,
    /// What verdict and outcome come to.
    pub policy_assessment: Assessment,
    /// The verdict by what is in force by now, if it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_would_now: Option<Word>,
    /// The policies that it was judged by.
    pub policy_generation: u64,
    /// In order, each once.
    pub caveats: Vec<Caveat>,
}

/// A rule, or a policy that isolates, which had a say in a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleHit {
    /// Kind of the policy.
    pub kind: Kind,
    /// Its namespace, if it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The direction.
    pub direction: Direction,
    /// Which of its rules, from 0; `None` where none of them allows.
    pub rule: Option<u16>,
}

impl fmt::Display for RuleHit {
    /// Such as `NetworkPolicy shop/web-in, rule 0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)?;
        match self.rule {
            Some(rule) => write!(f, ", rule {rule}"),
            None => Ok(()),
        }
    }
}

impl<'a> Judged<'a> {
    /// With the names of policies. Pending ones are those of `now`, what is in force by now.
    pub fn report(&self, now: &'a super::Snapshot) -> Report<'a> {
        let pending = self.pending.as_ref().zip(now.pending.as_ref());
        let sides = [&self.verdict.egress, &self.verdict.ingress];
        let mut caveats = self.caveats.clone();
        caveats.extend(sides.into_iter().flat_map(|side| &side.caveats));
        caveats.sort_unstable();
        caveats.dedup();
        Report {
            policy_enforced: self.snapshot.engine.entries(&self.verdict),
            policy_pending: pending.map(|(verdict, engine)| engine.entries(verdict)),
            policy_change: self.change(),
            policy_combined: Combined {
                verdict: self.verdict.combined,
                reason: self.verdict.reason,
            },
            policy_outcome: self.outcome,
            policy_assessment: self.assessment,
            policy_would_now: self.would_now,
            policy_generation: self.snapshot.generation,
            caveats,
        }
    }

    /// What had a say in one direction.
    pub fn hits(&self, direction: Direction) -> Vec<RuleHit> {
        let side = match direction {
            Direction::Egress => &self.verdict.egress,
            Direction::Ingress => &self.verdict.ingress,
        };
        let engine = &self.snapshot.engine;
        let of = |hit: &crate::verdict::Hit| {
            let rule = hit.rule.filter(|_| hit.miss.is_none());
            engine.rule_hit(hit.policy, direction, rule)
        };
        side.hits.iter().map(of).collect()
    }
}

impl Engine {
    /// Every rule of the policies about some pods, each once, and each policy of theirs that isolates, without a rule.
    pub fn rules_about(&self, pods: impl IntoIterator<Item = u32>) -> Vec<RuleHit> {
        let mut hits = std::collections::BTreeSet::new();
        for pod in pods.into_iter().filter(|pod| self.is_policed(*pod)) {
            for direction in Direction::BOTH {
                for (policy, isolates) in self.policies_about(pod, direction) {
                    let rules = self.policy(policy).rules(direction).len();
                    let rules = (0..rules).filter_map(|rule| u16::try_from(rule).ok());
                    let itself = isolates.then_some(None);
                    let each = rules.map(Some).chain(itself);
                    hits.extend(each.map(|rule| self.rule_hit(policy, direction, rule)));
                }
            }
        }
        hits.into_iter().collect()
    }

    fn rule_hit(&self, policy: u32, direction: Direction, rule: Option<u16>) -> RuleHit {
        let policy = self.policy(policy);
        RuleHit {
            kind: policy.kind,
            namespace: policy.namespace.clone(),
            name: policy.name.clone(),
            direction,
            rule,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        audit::{Policies, Seen},
        engine::{Connection, End, Options},
        load::Loader,
        model::Protocol,
    };

    const MANIFESTS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: pg, namespace: db, labels: {app: pg}}, status: {podIP: 10.0.0.2}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-out, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pg-in, namespace: db, uid: u1, generation: 3}
spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 5433}]}]}
";

    fn policies() -> Policies {
        let mut loader = Loader::default();
        loader.add("all.yaml", MANIFESTS);
        let engine = Engine::new(loader.finish().cluster, Options::default());
        Policies::new(engine, None, Duration::ZERO)
    }

    fn judged(policies: &Policies) -> Judged<'_> {
        let seen = Seen {
            outcome: Outcome::Delivered,
            started: Duration::from_secs(1),
            taken_over: false,
            has_initiator: true,
        };
        policies.judge(&seen, Duration::from_secs(10), |_| Connection {
            from: End::Address([10, 0, 0, 1].into()),
            to: End::Address([10, 0, 0, 2].into()),
            protocol: Protocol::Tcp,
            port: 5432,
        })
    }

    #[test]
    fn an_event_names_both_directions_and_what_they_come_to() {
        let policies = policies();
        let report = judged(&policies).report(policies.current());
        let mut found = serde_json::to_value(&report).unwrap();
        let hash = found["policy_enforced"][0]["rule_hash"].take();
        assert_eq!(hash.as_str().map(str::len), Some(16));
        assert_eq!(
            found,
            json!({
                "policy_enforced": [
                    {"direction": "egress", "verdict": "allowed", "tier": "np", "kind": "NetworkPolicy", "namespace": "shop",
                     "name": "web-out", "rule": 0, "peer": 0, "rule_hash": null},
                    {"direction": "ingress", "verdict": "would_deny", "reason": "rule 0: the peer matches, the port does not",
                     "tier": "np", "kind": "NetworkPolicy", "namespace": "db", "name": "pg-in", "uid": "u1", "generation": 3},
                ],
                "policy_combined": {"verdict": "would_deny"},
                "policy_outcome": "delivered",
                "policy_assessment": "gap",
                "policy_generation": 1,
                "caveats": [],
            })
        );
    }

    #[test]
    fn rules_that_have_a_say_are_among_those_about_the_pod() {
        let policies = policies();
        let judged = judged(&policies);
        let engine = &policies.current().engine;
        let hit = |name: &str, namespace: &str, direction, rule| RuleHit {
            kind: Kind::NetworkPolicy,
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
            direction,
            rule,
        };
        let allows = hit("web-out", "shop", Direction::Egress, Some(0));
        let isolates = hit("pg-in", "db", Direction::Ingress, None);
        assert_eq!(
            judged.hits(Direction::Egress),
            std::slice::from_ref(&allows)
        );
        assert_eq!(
            judged.hits(Direction::Ingress),
            std::slice::from_ref(&isolates)
        );
        let web = engine.find("shop", "web");
        let closed = hit("web-out", "shop", Direction::Egress, None);
        assert_eq!(engine.rules_about(web), [closed, allows]);
        let all = engine.rules_about(0..2);
        assert!(all.contains(&isolates) && all.len() == 4, "{all:?}");
    }
}
