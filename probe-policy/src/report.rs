//! Verdicts with names, as they stand in audit events and in answers.

use serde::Serialize;

use crate::{
    engine::Engine,
    model::{Body, Direction, Kind, Policy, Rule, Tier},
    verdict::{Hit, Miss, Side, Verdict, Word},
};

/// What one policy, or none, has to do with a verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry<'a> {
    /// Which direction it is about.
    pub direction: Direction,
    /// The word of the direction.
    pub verdict: Word,
    /// Why; of a policy that isolates, how nearly it allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule passed it on to the next tier.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub passed: bool,
    /// Tier of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Kind of the policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Its namespace, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<&'a str>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// Its UID, where an API server gave it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<&'a str>,
    /// Its generation, where an API server gave it one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Which of its rules, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<u16>,
    /// Name of the rule, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_name: Option<&'a str>,
    /// Which peer of the rule, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<u16>,
    /// Which port of the rule, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Of the rule's content, in hexadecimal: it stays when rules change places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_hash: Option<String>,
    /// Of what is undefined or unknown, the word that the rules would give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lean: Option<Word>,
}

impl Engine {
    /// Entries of both directions, of the source first.
    pub fn entries(&self, verdict: &Verdict) -> Vec<Entry<'_>> {
        let mut entries = self.side_entries(Direction::Egress, &verdict.egress);
        entries.append(&mut self.side_entries(Direction::Ingress, &verdict.ingress));
        entries
    }

    fn side_entries(&self, direction: Direction, side: &Side) -> Vec<Entry<'_>> {
        let of = |hit: &Hit, passed| self.entry(direction, side, Some(hit), passed);
        let passed = side.passed.iter().map(|hit| of(hit, true));
        let mut entries: Vec<_> = passed
            .chain(side.hits.iter().map(|hit| of(hit, false)))
            .collect();
        if side.hits.is_empty() {
            entries.push(self.entry(direction, side, None, false));
        }
        entries
    }

    fn entry(
        &self,
        direction: Direction,
        side: &Side,
        hit: Option<&Hit>,
        passed: bool,
    ) -> Entry<'_> {
        let policy = hit.map(|hit| self.policy(hit.policy));
        let rule = hit.and_then(|hit| self.rule(direction, hit));
        // A rule that came near is none that has a say.
        let index = hit
            .filter(|hit| hit.miss.is_none())
            .and_then(|hit| hit.rule);
        let miss = hit.and_then(|hit| Some(missed(hit, hit.miss?)));
        let reason = miss.or_else(|| side.reason.map(|reason| word_of(&reason)));
        Entry {
            direction,
            verdict: side.word,
            reason,
            passed,
            tier: policy.and_then(tier),
            kind: policy.map(|policy| policy.kind),
            namespace: policy.and_then(|policy| policy.namespace.as_deref()),
            name: policy.map(|policy| policy.name.as_str()),
            uid: policy.and_then(|policy| policy.uid.as_deref()),
            generation: policy.and_then(|policy| policy.generation),
            rule: index,
            rule_name: rule.and_then(|rule| rule.name.as_deref()),
            peer: hit.and_then(|hit| hit.peer),
            port: hit.and_then(|hit| hit.port),
            rule_hash: index.and(rule).map(|rule| format!("{:016x}", rule.hash)),
            lean: side.lean,
        }
    }

    /// The rule of a hit, or the one that came nearest.
    pub fn rule(&self, direction: Direction, hit: &Hit) -> Option<&Rule> {
        let rules = self.policy(hit.policy).rules(direction);
        rules.get(usize::from(hit.rule?))
    }
}

/// The tier that a policy is in, as far as it is known.
fn tier(policy: &Policy) -> Option<Tier> {
    match &policy.body {
        Body::Network(_) => Some(Tier::Network),
        Body::Tiered(tiered) => Some(tiered.tier),
        Body::Invalid(invalid) => invalid.tier,
    }
}

/// Such as `rule 0: the peer matches, the port does not`.
fn missed(hit: &Hit, miss: Miss) -> String {
    let what = match miss {
        Miss::NoRule => return "it has no rule of this direction".to_owned(),
        Miss::Both => "neither the peer nor the port matches",
        Miss::Peer => "the port matches, the peer does not",
        Miss::Port => "the peer matches, the port does not",
        Miss::NamedPort => "the peer matches, and the destination has no port of that name",
    };
    match hit.rule {
        Some(rule) => format!("rule {rule}: {what}"),
        None => what.to_owned(),
    }
}

/// A word, reason, caveat or doubt as it is in JSON.
pub fn word_of(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
