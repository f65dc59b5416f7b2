//! NetworkPolicies.

use probe_policy::verdict::{
    Miss, Reason,
    Word::{Allowed, NoPolicy, Undefined, Unknown, WouldDeny},
};

use crate::{engine, expect, judge, load, named_policy, policy};

#[test]
fn a_policy_without_types_is_about_ingress_and_about_egress_only_with_rules_for_it() {
    let inert = engine(&policy("{podSelector: {}}"));
    expect(
        &inert,
        &[
            ("y/a -> x/a TCP 80", NoPolicy, WouldDeny),
            ("x/a -> y/a TCP 80", NoPolicy, NoPolicy),
        ],
    );
    let empty = engine(&policy("{podSelector: {}, egress: []}"));
    expect(&empty, &[("x/a -> y/a TCP 80", NoPolicy, NoPolicy)]);
    let named = engine(&policy("{policyTypes: [Egress], ingress: [{}]}"));
    expect(
        &named,
        &[
            ("x/a -> y/a TCP 80", WouldDeny, NoPolicy),
            ("y/a -> x/a TCP 80", NoPolicy, NoPolicy),
        ],
    );
    let with_rules = engine(&policy("{egress: [{to: [{podSelector: {}}]}]}"));
    expect(
        &with_rules,
        &[
            ("x/a -> x/b TCP 80", Allowed, WouldDeny),
            ("x/a -> y/b TCP 80", WouldDeny, NoPolicy),
        ],
    );
}

#[test]
fn empty_lists_of_a_rule_match_everything_as_absent_ones_do() {
    for rule in [
        "{}",
        "{from: []}",
        "{ports: []}",
        "{from: [], ports: []}",
        "{from: null}",
        "null",
    ] {
        let engine = engine(&policy(&format!("{{ingress: [{rule}]}}")));
        expect(
            &engine,
            &[
                ("y/a -> x/a TCP 80", NoPolicy, Allowed),
                ("192.0.2.1 -> x/a SCTP 1", NoPolicy, Allowed),
            ],
        );
    }
    let nothing = engine(&policy("{ingress: null}"));
    expect(&nothing, &[("y/a -> x/a TCP 80", NoPolicy, WouldDeny)]);
}

#[test]
fn a_selector_of_namespaces_matches_no_address_and_an_own_one_no_other_namespace() {
    let all = engine(&policy("{ingress: [{from: [{namespaceSelector: {}}]}]}"));
    expect(
        &all,
        &[
            ("y/a -> x/a TCP 80", NoPolicy, Allowed),
            ("192.0.2.1 -> x/a TCP 80", NoPolicy, WouldDeny),
        ],
    );
    let own = engine(&policy("{ingress: [{from: [{podSelector: {}}]}]}"));
    expect(
        &own,
        &[
            ("x/b -> x/a TCP 80", NoPolicy, Allowed),
            ("y/b -> x/a TCP 80", NoPolicy, WouldDeny),
        ],
    );
    let by_name = "{ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: y}}}]}]}";
    expect(
        &engine(&policy(by_name)),
        &[("y/a -> x/a TCP 80", NoPolicy, Allowed)],
    );
    // Both in one peer: these pods of those namespaces.
    let both = "{ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}, podSelector: {matchLabels: {pod: b}}}]}]}";
    expect(
        &engine(&policy(both)),
        &[
            ("y/b -> x/a TCP 80", NoPolicy, Allowed),
            ("y/a -> x/a TCP 80", NoPolicy, WouldDeny),
            ("x/b -> x/a TCP 80", NoPolicy, WouldDeny),
        ],
    );
}

#[test]
fn expressions_say_what_an_absent_label_is() {
    for (expression, a_may) in [
        ("{key: tier, operator: NotIn, values: [web]}", true),
        ("{key: tier, operator: DoesNotExist}", true),
        ("{key: tier, operator: Exists}", false),
        ("{key: pod, operator: Exists}", true),
        ("{key: pod, operator: In, values: [a, z]}", true),
        ("{key: pod, operator: NotIn, values: [a, z]}", false),
    ] {
        let spec = format!(
            "{{ingress: [{{from: [{{podSelector: {{matchExpressions: [{expression}]}}}}]}}]}}"
        );
        let word = if a_may { Allowed } else { WouldDeny };
        expect(
            &engine(&policy(&spec)),
            &[("x/a -> x/c TCP 80", NoPolicy, word)],
        );
    }
}

#[test]
fn ports_are_those_of_the_destination_and_of_their_protocol() {
    let ports = |ports: &str| engine(&policy(&format!("{{ingress: [{{ports: [{ports}]}}]}}")));
    expect(
        &ports("{port: 80, endPort: 82}"),
        &[
            ("y/a -> x/a TCP 79", NoPolicy, WouldDeny),
            ("y/a -> x/a TCP 80", NoPolicy, Allowed),
            ("y/a -> x/a TCP 82", NoPolicy, Allowed),
            ("y/a -> x/a TCP 83", NoPolicy, WouldDeny),
            ("y/a -> x/a UDP 80", NoPolicy, WouldDeny),
            ("y/a -> x/a SCTP 80", NoPolicy, WouldDeny),
        ],
    );
    expect(
        &ports("{protocol: UDP}"),
        &[
            ("y/a -> x/a UDP 9", NoPolicy, Allowed),
            ("y/a -> x/a TCP 9", NoPolicy, WouldDeny),
        ],
    );
    // The same name is another number on another pod.
    expect(
        &ports("{port: http}"),
        &[
            ("y/c -> x/a TCP 801", NoPolicy, Allowed),
            ("y/c -> x/b TCP 802", NoPolicy, Allowed),
            ("y/c -> x/b TCP 801", NoPolicy, WouldDeny),
        ],
    );
    let out = engine(&policy(
        "{policyTypes: [Egress], egress: [{ports: [{port: http}]}]}",
    ));
    expect(
        &out,
        &[
            ("x/a -> y/b TCP 802", Allowed, NoPolicy),
            ("x/a -> 192.0.2.1 TCP 802", WouldDeny, NoPolicy),
        ],
    );
}

#[test]
fn what_is_denied_names_all_that_isolate_and_how_near_they_came() {
    let policies = named_policy(
        "p1",
        "{ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}",
    ) + &named_policy(
        "p2",
        "{ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}",
    ) + &named_policy(
        "p3",
        "{ingress: [{from: [{podSelector: {}}], ports: [{port: nope}]}]}",
    ) + &named_policy("p4", "{policyTypes: [Ingress]}")
        + &named_policy(
            "p5",
            "{ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 80}]}]}",
        );
    let engine = engine(&policies);
    let side = judge(&engine, "x/b -> x/a TCP 81").ingress;
    assert_eq!(side.word, WouldDeny);
    let misses: Vec<_> = side
        .hits
        .iter()
        .map(|hit| (engine.policy(hit.policy).name.as_str(), hit.miss))
        .collect();
    let expected = [
        ("p1", Miss::Port),
        ("p2", Miss::Peer),
        ("p3", Miss::NamedPort),
        ("p4", Miss::NoRule),
        ("p5", Miss::Both),
    ];
    assert_eq!(misses, expected.map(|(name, miss)| (name, Some(miss))));
}

#[test]
fn other_protocols_are_open_where_a_policy_isolates() {
    let engine = engine(&policy(
        "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {}}]}]}",
    ));
    let verdict = judge(&engine, "x/b -> x/a ICMP 0");
    assert_eq!(
        (verdict.ingress.word, verdict.ingress.reason),
        (Undefined, Some(Reason::Protocol))
    );
    assert_eq!(verdict.ingress.lean, Some(Allowed));
    assert_eq!(
        judge(&engine, "y/b -> x/a ICMP 0").ingress.lean,
        Some(WouldDeny)
    );
    expect(&engine, &[("y/b -> x/b ICMP 0", NoPolicy, NoPolicy)]);
}

#[test]
fn a_policy_that_is_not_valid_makes_unknown_what_it_could_change_and_nothing_else() {
    let broken = named_policy(
        "broken",
        "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{ipBlock: {cidr: x}}]}]}",
    );
    for (spec, field) in [
        ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]"),
        ("{ingress: [{from: [null]}]}", "spec.ingress[0].from[0]"),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}",
            "spec.ingress[0].from[0]",
        ),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}]}",
            "spec.ingress[0].from[0].ipBlock.except[0]",
        ),
        (
            "{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]}]}",
            "spec.ingress[0].from[0].ipBlock.except[0]",
        ),
        (
            "{ingress: [{ports: [{port: \"80\"}]}]}",
            "spec.ingress[0].ports[0].port",
        ),
        (
            "{ingress: [{ports: [{port: 0}]}]}",
            "spec.ingress[0].ports[0].port",
        ),
        (
            "{ingress: [{ports: [{port: 80, endPort: 79}]}]}",
            "spec.ingress[0].ports[0].endPort",
        ),
        (
            "{ingress: [{ports: [{port: http, endPort: 79}]}]}",
            "spec.ingress[0].ports[0].endPort",
        ),
        (
            "{ingress: [{ports: [{protocol: tcp}]}]}",
            "spec.ingress[0].ports[0].protocol",
        ),
        ("{policyTypes: [ingress]}", "spec.policyTypes[0]"),
        (
            "{podSelector: {matchLabels: {a: 1}}}",
            "spec.podSelector.matchLabels.a",
        ),
        (
            "{podSelector: {matchExpressions: [{key: a, operator: Is, values: [b]}]}}",
            "spec.podSelector.matchExpressions[0].operator",
        ),
        (
            "{podSelector: {matchExpressions: [{key: a, operator: In}]}}",
            "spec.podSelector.matchExpressions[0].values",
        ),
        (
            "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}",
            "spec.podSelector.matchExpressions[0].values",
        ),
    ] {
        let loaded = load(&policy(spec));
        let fields: Vec<_> = loaded
            .findings
            .iter()
            .map(|finding| finding.field.as_str())
            .collect();
        assert!(
            loaded.has_errors() && fields.contains(&field),
            "{spec}: {:?}",
            loaded.findings
        );
    }
    let loaded =
        load(&(broken + &named_policy("good", "{ingress: [{from: [{podSelector: {}}]}]}")));
    assert!(loaded.has_errors());
    let engine = probe_policy::engine::Engine::new(loaded.cluster, Default::default());
    expect(
        &engine,
        &[
            // What another policy allows stays allowed.
            ("x/b -> x/a TCP 80", NoPolicy, Allowed),
            ("y/b -> x/a TCP 80", NoPolicy, Unknown),
            // It is not about this one.
            ("y/b -> x/b TCP 80", NoPolicy, WouldDeny),
            ("x/b -> y/a TCP 80", NoPolicy, NoPolicy),
        ],
    );
}
