//! Selectors of pods and of namespaces.

use super::{check, named, network};

fn from_pods(selector: &str) -> String {
    network(&format!(
        "{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{{podSelector: {selector}}}]}}]}}"
    ))
}

#[test]
fn not_in_selects_what_has_no_such_label() {
    check(
        &from_pods("{matchExpressions: [{key: app, operator: NotIn, values: [web, other]}]}"),
        "a/web  -> a/db TCP 1 = no_policy would_deny would_deny
         a/bare -> a/db TCP 1 = no_policy allowed allowed
         b/dual -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn exists_and_does_not_exist_ask_for_the_key_only() {
    check(
        &from_pods("{matchExpressions: [{key: app, operator: Exists}]}"),
        "a/web  -> a/db TCP 1 = no_policy allowed allowed
         a/bare -> a/db TCP 1 = no_policy would_deny would_deny",
    );
    check(
        &from_pods("{matchExpressions: [{key: app, operator: DoesNotExist}]}"),
        "a/web  -> a/db TCP 1 = no_policy would_deny would_deny
         a/bare -> a/db TCP 1 = no_policy allowed allowed",
    );
}

#[test]
fn labels_and_expressions_have_to_hold_together() {
    check(
        &from_pods(
            "{matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [back]}]}",
        ),
        "a/web -> a/db TCP 1 = no_policy would_deny would_deny",
    );
    check(
        &from_pods(
            "{matchLabels: {app: web}, matchExpressions: [{key: tier, operator: In, values: [back, front]}]}",
        ),
        "a/web -> a/db TCP 1 = no_policy allowed allowed",
    );
}

#[test]
fn a_subject_is_selected_by_expressions_too() {
    check(
        &network("{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}"),
        "a/web -> a/bare TCP 1 = no_policy would_deny would_deny
         a/web -> a/db   TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn a_selector_of_pods_alone_is_bound_to_the_namespace_of_the_policy() {
    check(
        &from_pods("{}"),
        "a/bare   -> a/db TCP 1 = no_policy allowed allowed
         b/web    -> a/db TCP 1 = no_policy would_deny would_deny
         10.9.9.9 -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn both_selectors_of_one_peer_are_and_two_peers_are_or() {
    let spec = |from: &str| {
        network(&format!(
            "{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: {from}}}]}}"
        ))
    };
    check(
        &spec(
            "[{namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {app: web}}}]",
        ),
        "a/web  -> a/db TCP 1 = no_policy allowed allowed
         a/bare -> a/db TCP 1 = no_policy would_deny would_deny
         b/web  -> a/db TCP 1 = no_policy would_deny would_deny",
    );
    check(
        &spec(
            "[{namespaceSelector: {matchLabels: {team: red}}}, {podSelector: {matchLabels: {app: web}}}]",
        ),
        "a/web  -> a/db TCP 1 = no_policy allowed allowed
         a/bare -> a/db TCP 1 = no_policy allowed allowed
         b/web  -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn each_namespace_has_the_label_of_its_name() {
    // There is no object of namespace b, and that of a does not have the label.
    check(
        &network(
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: b}}}]}]}",
        ),
        "b/web -> a/db TCP 1 = no_policy allowed allowed
         a/web -> a/db TCP 1 = no_policy would_deny would_deny",
    );
    check(
        &network(
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [b]}]}}]}]}",
        ),
        "b/web -> a/db TCP 1 = no_policy would_deny would_deny
         a/web -> a/db TCP 1 = no_policy allowed allowed",
    );
}

#[test]
fn a_namespace_without_an_object_has_no_other_label() {
    check(
        &network(
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]}",
        ),
        "b/web -> a/db TCP 1 = no_policy allowed allowed
         a/web -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn all_namespaces_are_no_addresses() {
    check(
        &network("{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"),
        "b/web       -> a/db TCP 1 = no_policy allowed allowed
         10.9.9.9    -> a/db TCP 1 = no_policy would_deny would_deny
         192.168.0.2 -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn policies_add_up_in_whatever_order() {
    let web = named(
        "one",
        "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
    );
    let other = named(
        "two",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: b}}}]}]}",
    );
    let table = "a/web  -> a/db TCP 1 = no_policy allowed allowed
                 b/dual -> a/db TCP 1 = no_policy allowed allowed
                 a/bare -> a/db TCP 1 = no_policy would_deny would_deny";
    check(&format!("{web}{other}"), table);
    check(&format!("{other}{web}"), table);
}
