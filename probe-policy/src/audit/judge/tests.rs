use super::*;
use crate::{
    audit::{Policies, pending},
    engine::{End, Options},
    load::Loader,
    model::Protocol,
};

const GRACE: Duration = Duration::from_secs(10);

const PODS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, status: {podIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, labels: {app: db}}, status: {podIP: 10.0.0.2}}
";

/// Nothing may come to `db`.
const CLOSED: &str = "
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed}, spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}}
";

fn engines(policies: &str) -> (Engine, Option<Engine>) {
    let mut loader = Loader::default();
    loader.add("all.yaml", &format!("{PODS}{policies}"));
    let loaded = loader.finish();
    assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    let mut cluster = loaded.cluster;
    let pending = pending(&mut cluster);
    let engine = |cluster| Engine::new(cluster, Options::default());
    (engine(cluster), pending.map(engine))
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn first(policies: &str) -> Policies {
    let (engine, pending) = engines(policies);
    Policies::new(engine, pending, at(100))
}

fn then(mut policies: Policies, texts: &str, seconds: u64) -> Policies {
    let (engine, pending) = engines(texts);
    policies.replace(engine, pending, at(seconds));
    policies
}

fn seen(outcome: Outcome, started: u64) -> Seen {
    Seen {
        outcome,
        started: at(started),
        taken_over: false,
        has_initiator: true,
    }
}

fn web_to_db(snapshot: &Snapshot) -> Connection {
    let pod = |name| End::Pod(snapshot.engine.find("default", name).unwrap());
    Connection {
        from: pod("web"),
        to: pod("db"),
        protocol: Protocol::Tcp,
        port: 5432,
    }
}

fn judge<'a>(policies: &'a Policies, seen: &Seen) -> Judged<'a> {
    policies.judge(seen, GRACE, web_to_db)
}

#[test]
fn a_denial_that_was_delivered_is_a_gap() {
    let policies = first(CLOSED);
    let judged = judge(&policies, &seen(Outcome::Delivered, 101));
    assert_eq!(judged.verdict.combined, Word::WouldDeny);
    assert_eq!(judged.assessment, Assessment::Gap);
    assert!(judged.caveats.is_empty() && judged.would_now.is_none());
}

#[test]
fn a_connection_is_judged_by_what_was_in_force_when_it_began() {
    let policies = then(first(""), CLOSED, 200);
    let judged = judge(&policies, &seen(Outcome::Delivered, 150));
    assert_eq!(judged.verdict.combined, Word::NoPolicy);
    assert_eq!(judged.snapshot.generation, 1);
    assert_eq!(judged.assessment, Assessment::Consistent);
    assert_eq!(judged.would_now, Some(Word::WouldDeny));
    assert_eq!(judged.caveats, [Caveat::PolicyChangedSinceStart]);
}

#[test]
fn while_a_change_is_in_flight_nothing_is_a_gap() {
    let policies = then(first(""), CLOSED, 200);
    let during = judge(&policies, &seen(Outcome::Delivered, 209));
    assert_eq!(during.assessment, Assessment::Indeterminate);
    assert_eq!(during.caveats, [Caveat::WithinGrace]);
    let after = judge(&policies, &seen(Outcome::Delivered, 210));
    assert_eq!(after.assessment, Assessment::Gap);
    assert!(after.caveats.is_empty());
}

#[test]
fn a_change_of_something_else_hides_no_gap() {
    let other = CLOSED.replace("closed", "same");
    let policies = then(first(CLOSED), &other, 200);
    let judged = judge(&policies, &seen(Outcome::Delivered, 201));
    assert_eq!(judged.assessment, Assessment::Gap);
    assert!(judged.caveats.is_empty());
}

#[test]
fn what_began_before_anybody_knew_the_policies_is_no_gap() {
    let policies = first(CLOSED);
    let older = judge(&policies, &seen(Outcome::Delivered, 99));
    let taken_over = Seen {
        taken_over: true,
        ..seen(Outcome::Delivered, 101)
    };
    for judged in [older, judge(&policies, &taken_over)] {
        assert_eq!(judged.assessment, Assessment::Indeterminate);
        assert_eq!(judged.caveats, [Caveat::StartedBeforePolicies]);
    }
}

#[test]
fn who_began_is_a_guess_and_so_is_the_verdict() {
    let policies = first(CLOSED);
    let guessed = Seen {
        has_initiator: false,
        ..seen(Outcome::Delivered, 101)
    };
    let judged = judge(&policies, &guessed);
    assert_eq!(judged.verdict.combined, Word::Unknown);
    assert_eq!(judged.verdict.reason, Some(Reason::GuessedInitiator));
    assert_eq!(judged.verdict.ingress.lean, Some(Word::WouldDeny));
    assert_eq!(judged.assessment, Assessment::NotEvaluated);
}

#[test]
fn pending_policies_are_judged_beside_those_in_force() {
    let marked = "annotations: {nodeprobe.io/pending: 'true'}";
    let closing = CLOSED.replace("name: closed", &format!("name: closed, {marked}"));
    let policies = first(&closing);
    let judged = judge(&policies, &seen(Outcome::Delivered, 101));
    assert_eq!(judged.verdict.combined, Word::NoPolicy);
    assert_eq!(judged.assessment, Assessment::Consistent);
    assert_eq!(judged.change(), Some(Change::AllowToDeny));
    assert_eq!(
        judge(&first(""), &seen(Outcome::Delivered, 101)).change(),
        None
    );
}

#[test]
fn what_goes_on_is_judged_again() {
    let policies = then(first(""), CLOSED, 200);
    let current = policies.current();
    let now = |was| current.would_now(was, &web_to_db(current));
    assert_eq!(now(Word::NoPolicy), Some(Word::WouldDeny));
    assert_eq!(now(Word::WouldDeny), None);
}

/// Pods that come and go each second leave what is said of others alone.
#[test]
fn changes_of_other_pods_hide_no_gap_and_make_none() {
    let mut policies = first(CLOSED);
    for seconds in 200..240 {
        let pod = format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{seconds}}}, status: {{podIP: 10.1.0.{seconds}}}}}"
        );
        policies = then(policies, &format!("{CLOSED}{pod}"), seconds);
    }
    for started in [150, 231, 239] {
        let judged = judge(&policies, &seen(Outcome::Delivered, started));
        assert_eq!(judged.assessment, Assessment::Gap, "{started}");
        assert!(judged.caveats.is_empty(), "{started}");
    }
    let unknown = judge(&policies, &seen(Outcome::Delivered, 105));
    assert_eq!(unknown.assessment, Assessment::Indeterminate);
}

/// A policy that was there for a moment raises nothing, before or after.
#[test]
fn a_policy_that_comes_and_goes_is_within_grace_both_times() {
    let policies = then(then(first(""), CLOSED, 200), "", 205);
    let of = |started| judge(&policies, &seen(Outcome::Delivered, started)).assessment;
    assert_eq!(of(203), Assessment::Indeterminate);
    let after = judge(&policies, &seen(Outcome::Dropped, 207));
    assert_eq!(after.assessment, Assessment::Indeterminate);
    assert_eq!(of(216), Assessment::Consistent);
}
