//! From verdicts to series.

use probe_policy::{
    audit::{Assessment, RuleHit},
    model::Body,
    report::word_of,
};
use rustc_hash::FxHashMap;

use super::{super::policies::Desk, network::Names};
use crate::{
    flows::FlowCounts,
    metrics::{Registry, families},
    policy::{Auditor, Sums, VerdictKey},
};

/// Label of a policy that isolates, where none of its rules allows.
const NO_RULE: &str = "~none";

/// What is remembered between collections.
#[derive(Default)]
pub(super) struct PolicySeries {
    /// Verdicts whose owners have no names yet.
    waiting: FxHashMap<VerdictKey, u64>,
    /// Rules that have a series, and what was passed on.
    rules: FxHashMap<RuleHit, u64>,
    /// The state of the policies that was counted.
    generation: u64,
}

impl PolicySeries {
    pub(super) fn export(&mut self, registry: &mut Registry, desk: &Desk, names: &mut Names<'_>) {
        registry.set(
            &families::POLICY_STALE,
            &[],
            f64::from(u8::from(desk.is_stale())),
        );
        if let Some(log) = desk.log() {
            show_log(registry, &log);
        }
        let mut auditor = desk.auditor();
        let Some(auditor) = &mut *auditor else {
            return;
        };
        for (key, count) in auditor.take_verdicts() {
            *self.waiting.entry(key).or_default() += count;
        }
        self.verdicts(registry, names);
        self.rules(registry, auditor.sums(), names);
        findings(registry, auditor.sums());
        self.objects(registry, auditor);
        let sums = auditor.sums();
        for (reason, count) in [
            ("addresses_full", sums.residents_refused),
            ("rules_full", sums.rules_refused),
            ("put_off", sums.put_off),
        ] {
            registry.raise(&families::RECORDS_LOST, &["policy", "join", reason], count);
        }
    }

    fn verdicts(&mut self, registry: &mut Registry, names: &mut Names<'_>) {
        self.waiting.retain(|key, count| {
            let Some(labels) = names.find(key.owner).labels() else {
                return true;
            };
            let [namespace, pod, container] = labels.parts();
            let (verdict, outcome) = (word_of(&key.verdict), word_of(&key.outcome));
            let direction = key.direction.list();
            let labels = [namespace, pod, container, direction, &verdict, &outcome];
            registry.add(&families::POLICY_VERDICTS, &labels, *count);
            false
        });
    }

    /// All rules have a series, so that those that match nothing are seen to.
    fn rules(&mut self, registry: &mut Registry, sums: &Sums, names: &Names<'_>) {
        for (rule, count) in &sums.rules {
            let is_new = !self.rules.contains_key(rule);
            let before = self.rules.get(rule).copied().unwrap_or_default();
            if is_new || *count > before {
                self.rules.insert(rule.clone(), *count);
                with_labels(rule, |labels| {
                    registry.touch(&families::POLICY_RULE_MATCHES, labels);
                    registry.add(&families::POLICY_RULE_MATCHES, labels, count - before);
                });
            }
        }
        self.rules.retain(|rule, _| {
            let is_there = sums.rules.contains_key(rule);
            if !is_there {
                with_labels(rule, |labels| {
                    registry.retire_one(&families::POLICY_RULE_MATCHES, labels, names.now);
                });
            }
            is_there
        });
    }

    /// Policies by kind and state, when they have changed.
    fn objects(&mut self, registry: &mut Registry, auditor: &Auditor) {
        let snapshot = auditor.snapshot();
        if snapshot.generation == self.generation {
            return;
        }
        self.generation = snapshot.generation;
        let mut counts = FxHashMap::<(&str, &str), u32>::default();
        for policy in &snapshot.engine.cluster().policies {
            let state = match policy.body {
                Body::Invalid(_) => "invalid",
                Body::Network(_) | Body::Tiered(_) => "valid",
            };
            *counts.entry((policy.kind.name(), state)).or_default() += 1;
        }
        registry.clear(&families::POLICY_OBJECTS);
        for ((kind, state), count) in counts {
            registry.set(&families::POLICY_OBJECTS, &[kind, state], f64::from(count));
        }
        registry.set(
            &families::POLICY_GENERATION,
            &[],
            snapshot.generation as f64,
        );
    }
}

fn with_labels(rule: &RuleHit, with: impl FnOnce(&[&str])) {
    let index = rule.rule.map(|index| index.to_string());
    with(&[
        rule.namespace.as_deref().unwrap_or_default(),
        &rule.name,
        rule.kind.name(),
        rule.direction.list(),
        index.as_deref().unwrap_or(NO_RULE),
    ]);
}

fn findings(registry: &mut Registry, sums: &Sums) {
    for ((assessment, namespace, of), count) in &sums.findings {
        let desc = match assessment {
            Assessment::Gap => &families::POLICY_GAPS,
            _ => &families::POLICY_BREAKAGES,
        };
        registry.raise(desc, &[namespace, of.list()], *count);
    }
    for ((change, namespace), count) in &sums.changes {
        let labels = [namespace.as_str(), &word_of(change)];
        registry.raise(&families::POLICY_PENDING_CHANGES, &labels, *count);
    }
}

fn show_log(registry: &mut Registry, log: &FlowCounts) {
    for (stage, reason, count) in [
        ("queue", "queue_full", log.refused),
        ("encode", "encode_error", log.encode_errors),
    ] {
        registry.raise(&families::RECORDS_LOST, &["audit", stage, reason], count);
    }
    for (result, count) in [
        ("written", log.sink.written),
        ("refused", log.refused),
        ("unencodable", log.encode_errors),
        ("abandoned", log.sink.abandoned),
    ] {
        registry.raise(&families::EVENT_LOG_RECORDS, &[result], count);
    }
}
