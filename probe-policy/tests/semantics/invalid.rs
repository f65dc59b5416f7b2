//! Policies that an API server refuses: what they could change is not known, and nothing else.

use super::{check_invalid, cluster, named, network, object};

const SELECTED: &str = "
  b/web -> a/db   TCP 1 = no_policy unknown(invalid_policy)~no_policy unknown(invalid_policy)
  b/web -> a/bare TCP 1 = no_policy no_policy no_policy";

#[test]
fn each_part_may_be_wrong() {
    for (from, field) in [
        (
            "{podSelector: {matchExpressions: [{key: app, operator: In}]}}",
            "podSelector.matchExpressions[0].values",
        ),
        (
            "{podSelector: {matchExpressions: [{key: app, operator: Exists, values: [web]}]}}",
            "podSelector.matchExpressions[0].values",
        ),
        (
            "{podSelector: {matchExpressions: [{key: app, operator: Is, values: [web]}]}}",
            "podSelector.matchExpressions[0].operator",
        ),
        (
            "{podSelector: {matchLabels: {app: 'a b'}}}",
            "podSelector.matchLabels",
        ),
        (
            "{namespaceSelector: {matchLabels: {-: a}}}",
            "namespaceSelector.matchLabels",
        ),
        ("{ipBlock: {cidr: 10.0.0.0/33}}", "ipBlock.cidr"),
        ("{ipBlock: {cidr: 10.0.0.1}}", "ipBlock.cidr"),
        ("{ipBlock: {}}", "ipBlock.cidr"),
        (
            "{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}",
            "ipBlock.except[0]",
        ),
        (
            "{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}",
            "ipBlock.except[0]",
        ),
        (
            "{ipBlock: {cidr: 10.0.0.0/8, except: ['::/16']}}",
            "ipBlock.except[0]",
        ),
    ] {
        let spec =
            format!("{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{from}]}}]}}");
        check_invalid(
            &network(&spec),
            &format!("spec.ingress[0].from[0].{field}"),
            SELECTED,
        );
    }
    for (rule, field) in [
        ("{from: [{}]}", "from[0]"),
        ("{from: [null]}", "from[0]"),
        ("{from: [{podSelector: null}]}", "from[0]"),
        (
            "{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}",
            "from[0]",
        ),
        ("{from: {podSelector: {}}}", "from"),
        ("{ports: [{port: '80'}]}", "ports[0].port"),
        ("{ports: [{port: 0}]}", "ports[0].port"),
        ("{ports: [{port: 65536}]}", "ports[0].port"),
        ("{ports: [{port: 80, endPort: 79}]}", "ports[0].endPort"),
        ("{ports: [{port: serve, endPort: 79}]}", "ports[0].endPort"),
        ("{ports: [{endPort: 79}]}", "ports[0].endPort"),
        ("{ports: [{protocol: tcp}]}", "ports[0].protocol"),
        ("{ports: [{protocol: ICMP}]}", "ports[0].protocol"),
    ] {
        let spec = format!("{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{rule}]}}");
        check_invalid(
            &network(&spec),
            &format!("spec.ingress[0].{field}"),
            SELECTED,
        );
    }
}

#[test]
fn an_unknown_subject_may_be_any_pod_of_the_namespace() {
    check_invalid(
        &network("{podSelector: {matchExpressions: [{key: app, operator: In}]}, ingress: [{}]}"),
        "spec.podSelector.matchExpressions[0].values",
        "b/web -> a/bare TCP 1 = no_policy unknown(invalid_policy)~no_policy unknown(invalid_policy)
         a/db  -> b/web  TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn what_another_policy_of_the_tier_allows_stays_allowed() {
    let bad = named("bad", "{podSelector: {}, ingress: [{from: [{}]}]}");
    check_invalid(
        &format!(
            "{bad}{}",
            network("{podSelector: {}, ingress: [{ports: [{port: 1}]}]}")
        ),
        "spec.ingress[0].from[0]",
        "b/web -> a/db TCP 1 = no_policy allowed allowed
         b/web -> a/db TCP 2 = no_policy unknown(invalid_policy)~would_deny unknown(invalid_policy)
         192.168.0.1 -> a/db TCP 2 = no_policy exempt(local_node) exempt(local_node)",
    );
}

#[test]
fn a_direction_that_it_is_not_about_is_not_touched() {
    check_invalid(
        &network("{podSelector: {}, policyTypes: [Egress], egress: [{to: [{}]}]}"),
        "spec.egress[0].to[0]",
        "a/db  -> b/web TCP 1 = unknown(invalid_policy)~no_policy no_policy unknown(invalid_policy)
         b/web -> a/db  TCP 1 = no_policy no_policy no_policy",
    );
    check_invalid(
        &network("{podSelector: {}, policyTypes: [Egres]}"),
        "spec.policyTypes[0]",
        "a/db  -> b/web TCP 1 = unknown(invalid_policy)~no_policy no_policy unknown(invalid_policy)
         b/web -> a/db  TCP 1 = no_policy unknown(invalid_policy)~no_policy unknown(invalid_policy)",
    );
    check_invalid(
        &network("{podSelector: {}, egress: {}}"),
        "spec.egress",
        "a/db -> b/web TCP 1 = unknown(invalid_policy)~no_policy no_policy unknown(invalid_policy)",
    );
}

/// About ingress of namespace a, with an error in a selector.
fn broken(tier: &str, priority: u16) -> String {
    cluster(
        "bad",
        &format!(
            "{{tier: {tier}, priority: {priority}, subject: {{namespaces: {{matchLabels: {{team: red}}}}}}, ingress: [{{action: Deny, from: [{{namespaces: {{matchExpressions: [{{key: x, operator: In}}]}}}}]}}]}}"
        ),
    )
}

const SELECTOR: &str = "spec.ingress[0].from[0].namespaces.matchExpressions[0].values";

#[test]
fn a_broken_denial_does_not_turn_into_nothing() {
    check_invalid(
        &broken("Admin", 5),
        SELECTOR,
        "b/web -> a/db  TCP 1 = no_policy unknown(invalid_policy)~no_policy unknown(invalid_policy)
         a/db  -> b/web TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn what_is_decided_before_it_stays_decided() {
    let open = network("{podSelector: {}, ingress: [{}]}");
    check_invalid(
        &format!("{}{open}", broken("Baseline", 5)),
        SELECTOR,
        "b/web -> a/db TCP 1 = no_policy allowed allowed",
    );
    let valid = |priority: u16| {
        cluster(
            "good",
            &format!(
                "{{tier: Admin, priority: {priority}, subject: {{namespaces: {{}}}}, ingress: [{{action: Deny, from: [{{namespaces: {{}}}}]}}]}}"
            ),
        )
    };
    check_invalid(
        &format!("{}{}", broken("Admin", 5), valid(4)),
        SELECTOR,
        "b/web -> a/db TCP 1 = no_policy denied denied",
    );
    for priority in [5, 6] {
        check_invalid(
            &format!("{}{}", broken("Admin", 5), valid(priority)),
            SELECTOR,
            "b/web -> a/db TCP 1 = no_policy unknown(invalid_policy)~denied unknown(invalid_policy)",
        );
    }
}

#[test]
fn the_old_baseline_has_one_name() {
    check_invalid(
        &object(
            "policy.networking.k8s.io/v1alpha1",
            "BaselineAdminNetworkPolicy",
            "other",
            "{subject: {namespaces: {matchLabels: {team: red}}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
        ),
        "metadata.name",
        "b/web -> a/db  TCP 1 = no_policy unknown(invalid_policy)~no_policy unknown(invalid_policy)
         a/db  -> b/web TCP 1 = no_policy no_policy no_policy",
    );
}
