//! Cluster-wide policies.

use probe_policy::{
    engine::Engine,
    verdict::{
        Caveat, Reason,
        Word::{Allowed, Denied, NoPolicy, Undefined, Unknown, WouldDeny},
    },
};

use crate::{cluster_policy, engine, expect, judge, load, policy};

/// About all pods of `x`, in the admin tier.
fn admin(name: &str, priority: u16, rules: &str) -> String {
    let subject = "subject: {namespaces: {matchLabels: {ns: x}}}";
    cluster_policy(
        name,
        &format!("{{tier: Admin, priority: {priority}, {subject}, {rules}}}"),
    )
}

fn baseline(name: &str, rules: &str) -> String {
    let subject = "subject: {namespaces: {matchLabels: {ns: x}}}";
    cluster_policy(
        name,
        &format!("{{tier: Baseline, priority: 1, {subject}, {rules}}}"),
    )
}

const FROM_Y: &str = "from: [{namespaces: {matchLabels: {ns: y}}}]";

#[test]
fn the_first_rule_that_matches_decides_and_pass_asks_the_next_tier() {
    let deny_b = "{action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {pod: b}}}}]}";
    let manifests =
        admin(
            "late",
            20,
            &format!("ingress: [{{action: Deny, {FROM_Y}}}]"),
        ) + &admin(
            "early",
            10,
            &format!("ingress: [{deny_b}, {{action: Pass, {FROM_Y}}}]"),
        ) + &policy("{ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}");
    let engine = engine(&manifests);
    expect(
        &engine,
        &[
            ("y/b -> x/a TCP 80", NoPolicy, Denied),
            ("y/a -> x/a TCP 80", NoPolicy, Allowed),
            ("y/a -> x/a TCP 81", NoPolicy, WouldDeny),
            // External sources match no rule of the tier.
            ("192.0.2.1 -> x/a TCP 80", NoPolicy, WouldDeny),
        ],
    );
    let passed = judge(&engine, "y/a -> x/a TCP 80").ingress.passed;
    assert_eq!(
        passed
            .iter()
            .map(|hit| (engine.policy(hit.policy).name.as_str(), hit.rule))
            .collect::<Vec<_>>(),
        [("early", Some(1))]
    );
}

#[test]
fn the_baseline_is_asked_only_where_no_policy_isolates_in_that_direction() {
    let manifests = baseline(
        "b",
        &format!(
            "ingress: [{{action: Deny, {FROM_Y}}}], egress: [{{action: Deny, to: [{{networks: [0.0.0.0/0]}}]}}]"
        ),
    ) + &policy("{podSelector: {matchLabels: {pod: a}}, ingress: [{}]}");
    expect(
        &engine(&manifests),
        &[
            ("y/a -> x/a TCP 80", NoPolicy, Allowed),
            ("y/a -> x/b TCP 80", NoPolicy, Denied),
            // It isolates against ingress, so that the baseline still has a say about egress.
            ("x/a -> 192.0.2.1 TCP 80", Denied, NoPolicy),
            ("x/a -> 2001:db8::1 TCP 80", NoPolicy, NoPolicy),
        ],
    );
}

#[test]
fn ports_may_be_all_of_a_protocol_a_range_or_a_name() {
    let rule = |protocols: &str| {
        engine(&admin(
            "p",
            1,
            &format!("ingress: [{{action: Deny, {FROM_Y}, protocols: [{protocols}]}}]"),
        ))
    };
    expect(
        &rule("{tcp: {}}"),
        &[
            ("y/a -> x/a TCP 9", NoPolicy, Denied),
            ("y/a -> x/a UDP 9", NoPolicy, NoPolicy),
        ],
    );
    expect(
        &rule("{udp: {destinationPort: {range: {start: 5, end: 7}}}}"),
        &[
            ("y/a -> x/a UDP 4", NoPolicy, NoPolicy),
            ("y/a -> x/a UDP 5", NoPolicy, Denied),
            ("y/a -> x/a UDP 7", NoPolicy, Denied),
            ("y/a -> x/a UDP 8", NoPolicy, NoPolicy),
        ],
    );
    expect(
        &rule("{destinationNamedPort: http}"),
        &[
            ("y/a -> x/b TCP 802", NoPolicy, Denied),
            ("y/a -> x/b TCP 801", NoPolicy, NoPolicy),
            ("y/a -> x/b UDP 802", NoPolicy, NoPolicy),
        ],
    );
    let old = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: o}\n\
        spec: {priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}], ports: [{portNumber: {port: 80}}]}]}\n";
    expect(
        &engine(old),
        &[
            ("y/a -> x/a TCP 80", NoPolicy, Denied),
            ("y/a -> x/a UDP 80", NoPolicy, NoPolicy),
        ],
    );
}

#[test]
fn policies_of_one_priority_count_if_they_come_to_the_same() {
    let deny = format!("ingress: [{{action: Deny, {FROM_Y}}}]");
    let accept = format!("ingress: [{{action: Accept, {FROM_Y}}}]");
    let pass = format!("ingress: [{{action: Pass, {FROM_Y}}}]");
    let tie = |one: &str, other: &str, more: &str| {
        judge(
            &engine(&(admin("a", 5, one) + &admin("b", 5, other) + more)),
            "y/a -> x/a TCP 80",
        )
        .ingress
    };
    let same = tie(&deny, &deny, "");
    assert_eq!(
        (same.word, &same.caveats[..]),
        (Denied, &[Caveat::PriorityTieSameResult][..])
    );
    let differs = tie(&deny, &accept, "");
    assert_eq!(
        (differs.word, differs.reason, differs.hits.len()),
        (Undefined, Some(Reason::PriorityTie), 2)
    );
    // What passes is followed to its end.
    assert_eq!(tie(&pass, &deny, "").word, Undefined);
    assert_eq!(tie(&pass, &deny, &baseline("c", &deny)).word, Denied);
    assert_eq!(
        tie(&pass, &accept, &policy("{ingress: [{}]}")).word,
        Allowed
    );
}

#[test]
fn what_is_not_known_fails_closed() {
    let rule = |action: &str, ends: &str| {
        engine(&admin(
            "p",
            1,
            &format!("egress: [{{action: {action}, to: [{ends}]}}]"),
        ))
    };
    let unknown = "{somethingNew: {}}";
    expect(
        &rule("Deny", unknown),
        &[("x/a -> y/a TCP 80", Denied, NoPolicy)],
    );
    expect(
        &rule("Pass", unknown),
        &[("x/a -> y/a TCP 80", Denied, NoPolicy)],
    );
    expect(
        &rule("Accept", unknown),
        &[("x/a -> y/a TCP 80", NoPolicy, NoPolicy)],
    );
    let loaded = load(&admin(
        "p",
        1,
        "egress: [{action: Deny, to: [{networks: [nowhere]}]}]",
    ));
    assert!(loaded.has_errors());
    expect(
        &Engine::new(loaded.cluster, Default::default()),
        &[
            ("x/a -> y/a TCP 80", Unknown, NoPolicy),
            ("y/a -> x/a TCP 80", NoPolicy, Unknown),
            ("y/a -> y/b TCP 80", NoPolicy, NoPolicy),
        ],
    );
}

#[test]
fn nodes_are_known_by_their_labels_and_names_of_domains_are_not_known() {
    let rule = |action: &str, ends: &str| {
        engine(&admin(
            "p",
            1,
            &format!("egress: [{{action: {action}, to: [{ends}]}}]"),
        ))
    };
    expect(
        &rule("Deny", "{nodes: {matchLabels: {pool: front}}}"),
        &[
            ("x/a -> 10.9.0.1 TCP 80", Denied, NoPolicy),
            ("x/a -> 10.9.0.2 TCP 80", NoPolicy, NoPolicy),
        ],
    );
    let by_name = rule("Accept", "{domainNames: ['*.example.com']}");
    let verdict = judge(&by_name, "x/a -> 192.0.2.1 TCP 443");
    assert_eq!(
        (verdict.egress.word, &verdict.egress.caveats[..]),
        (NoPolicy, &[Caveat::DomainNameUnknown][..])
    );
    assert!(
        load(&admin(
            "p",
            1,
            "egress: [{action: Deny, to: [{domainNames: [a.example]}]}]"
        ))
        .has_errors()
    );
    // Pods have addresses that networks match.
    expect(
        &rule("Deny", "{networks: [10.0.2.0/24]}"),
        &[("x/a -> y/a TCP 80", Denied, NoPolicy)],
    );
}
