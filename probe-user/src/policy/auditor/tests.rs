use probe_common::id::CgroupId;
use probe_policy::{
    audit::{Assessment, Outcome},
    engine::{Engine, Options},
    load::Loader,
};

use super::*;
use crate::{
    flows::{client, server},
    model::{Counters, EndReason, FlowEnd, Naming, Runtime},
};

const PODS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop}}
";

/// Nothing may come to any pod.
const CLOSED: &str = "
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: closed, namespace: shop}, spec: {podSelector: {}, policyTypes: [Ingress]}}
";

fn change(policies: &str) -> Change {
    let mut loader = Loader::default();
    loader.add("all.yaml", &format!("{PODS}{policies}"));
    Change {
        engine: Engine::new(loader.finish().cluster, Options::default()),
        pending: None,
        findings: Vec::new(),
    }
}

fn auditor(policies: &str) -> Auditor {
    let settings = AuditSettings {
        grace: Duration::from_millis(100),
    };
    Auditor::new(change(policies), settings, Duration::ZERO)
}

fn container(name: &str) -> Container {
    Container {
        cgroup: CgroupId(7),
        cgroup_path: format!("/docker/{name}"),
        runtime: Runtime::Docker,
        id: None,
        namespace: String::new(),
        pod: String::new(),
        pod_uid: String::new(),
        name: name.to_owned(),
        naming: Naming::Named,
    }
}

fn report(event: Event, flow: Flow) -> FlowReport {
    FlowReport {
        event,
        interval: Counters::default(),
        dropped: None,
        since: flow.start,
        peer: None,
        nat: None,
        flow,
    }
}

fn failed(mut flow: Flow) -> FlowReport {
    if let Some(tcp) = &mut flow.tcp {
        tcp.state = 2;
    }
    flow.end = Some(FlowEnd {
        reason: EndReason::ConnectTimeout,
        at: Duration::from_secs(3),
        error: None,
    });
    report(Event::End, flow)
}

fn open(mut flow: Flow) -> Flow {
    if let Some(tcp) = &mut flow.tcp {
        tcp.state = 1;
    }
    flow
}

/// What is said of a report: verdict, outcome, assessment.
fn take(
    auditor: &mut Auditor,
    report: &FlowReport,
    [local, remote]: [Option<&str>; 2],
) -> Option<(Word, Outcome, Assessment, Option<Word>)> {
    let [local, remote] = [local, remote].map(|name| name.map(container));
    let owners = Owners {
        local: local.as_ref(),
        remote: remote.as_ref(),
    };
    let mut said = None;
    auditor.take(report, owners, Duration::from_secs(4), |audit| {
        let judged = &audit.judged;
        let verdict = judged.verdict.combined;
        said = Some((verdict, judged.outcome, judged.assessment, judged.would_now));
    });
    said
}

const BOTH: [Option<&str>; 2] = [Some("web"), Some("db")];

#[test]
fn a_connection_is_judged_once_at_each_end() {
    let mut auditor = auditor(CLOSED);
    let gap = Some((Word::WouldDeny, Outcome::Delivered, Assessment::Gap, None));
    let start = report(Event::Start, open(client()));
    assert_eq!(take(&mut auditor, &start, BOTH), gap);
    assert_eq!(
        take(&mut auditor, &report(Event::Update, open(client())), BOTH),
        None
    );
    assert_eq!(
        take(&mut auditor, &report(Event::End, open(client())), BOTH),
        None
    );
    let other = report(Event::Start, open(server()));
    assert_eq!(take(&mut auditor, &other, [Some("db"), Some("web")]), gap);
    let sums = auditor.sums();
    assert_eq!(sums.judged, 2);
    let key = (Assessment::Gap, "shop".to_owned(), Direction::Ingress);
    assert_eq!(sums.findings.get(&key), Some(&1));
    assert_eq!(sums.findings.len(), 1);
    assert_eq!(auditor.take_verdicts().len(), 2);
    assert!(auditor.take_verdicts().is_empty());
}

#[test]
fn an_attempt_waits_for_what_it_comes_to() {
    let mut auditor = auditor(CLOSED);
    let mut attempt = client();
    if let Some(tcp) = &mut attempt.tcp {
        tcp.state = 2;
    }
    assert_eq!(
        take(&mut auditor, &report(Event::Start, attempt), BOTH),
        None
    );
    let said = take(&mut auditor, &failed(client()), BOTH);
    let expected = (
        Word::WouldDeny,
        Outcome::NoReply,
        Assessment::Consistent,
        None,
    );
    assert_eq!(said, Some(expected));
}

#[test]
fn a_connection_that_goes_on_is_told_of_again_when_its_verdict_changes() {
    let mut auditor = auditor("");
    let start = report(Event::Start, open(client()));
    let said = take(&mut auditor, &start, BOTH).unwrap();
    assert_eq!((said.0, said.2), (Word::NoPolicy, Assessment::Consistent));
    auditor.replace(change(CLOSED), Duration::from_secs(5));
    let update = report(Event::Update, open(client()));
    let said = take(&mut auditor, &update, BOTH).unwrap();
    let expected = (
        Word::NoPolicy,
        Assessment::Consistent,
        Some(Word::WouldDeny),
    );
    assert_eq!((said.0, said.2, said.3), expected);
    assert_eq!(take(&mut auditor, &update, BOTH), None);
    assert_eq!(auditor.sums().judged, 1);
}

#[test]
fn a_guess_is_told_of_once_whatever_becomes_of_the_policies() {
    let mut auditor = auditor("");
    let mut guessed = open(client());
    guessed.guessed = true;
    let start = report(Event::Start, guessed.clone());
    let said = take(&mut auditor, &start, BOTH).unwrap();
    assert_eq!((said.0, said.2), (Word::Unknown, Assessment::NotEvaluated));
    auditor.replace(change(CLOSED), Duration::from_secs(5));
    let update = report(Event::Update, guessed);
    assert_eq!(take(&mut auditor, &update, BOTH), None);
}

#[test]
fn whom_an_attempt_was_for_is_known_from_earlier_connections() {
    let mut auditor = auditor(CLOSED);
    let alone = [Some("web"), None];
    let said = take(&mut auditor, &failed(client()), alone).unwrap();
    assert_eq!(said.0, Word::NoPolicy);
    take(
        &mut auditor,
        &report(Event::Start, open(server())),
        [Some("db"), None],
    );
    let said = take(&mut auditor, &failed(client()), alone).unwrap();
    assert_eq!((said.0, said.2), (Word::WouldDeny, Assessment::Consistent));
}

#[test]
fn what_is_no_pod_and_what_has_no_ports_is_not_judged() {
    let mut auditor = auditor(CLOSED);
    let end = report(Event::End, open(client()));
    assert_eq!(take(&mut auditor, &end, [Some("other"), Some("db")]), None);
    assert_eq!(take(&mut auditor, &end, [None, None]), None);
    let mut ping = client();
    ping.tuple.transport = crate::model::Transport::ICMP;
    assert_eq!(take(&mut auditor, &report(Event::End, ping), BOTH), None);
    assert_eq!((auditor.sums().no_pod, auditor.sums().judged), (2, 0));
}

#[test]
fn rules_are_counted_from_nothing_and_forgotten_with_their_policy() {
    let mut auditor = auditor(CLOSED);
    assert_eq!(auditor.sums().rules.values().collect::<Vec<_>>(), [&0]);
    take(
        &mut auditor,
        &report(Event::Start, open(server())),
        [Some("db"), None],
    );
    assert_eq!(auditor.sums().rules.values().collect::<Vec<_>>(), [&1]);
    auditor.replace(change(""), Duration::from_secs(5));
    assert!(auditor.sums().rules.is_empty());
}
