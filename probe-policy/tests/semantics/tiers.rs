//! The tiers: admin, NetworkPolicies, baseline.

use super::{check, cluster, network};

const SHUT: &str = "{podSelector: {}, policyTypes: [Ingress]}";

/// Rules of the admin tier about all of namespace a.
fn first(priority: u16, ingress: &str) -> String {
    tier("Admin", "first", priority, ingress)
}

fn last(ingress: &str) -> String {
    tier("Baseline", "last", 0, ingress)
}

fn tier(tier: &str, name: &str, priority: u16, ingress: &str) -> String {
    let subject = "{namespaces: {matchLabels: {team: red}}}";
    cluster(
        name,
        &format!("{{tier: {tier}, priority: {priority}, subject: {subject}, ingress: {ingress}}}"),
    )
}

fn all(action: &str) -> String {
    format!("[{{action: {action}, from: [{{namespaces: {{}}}}]}}]")
}

#[test]
fn admin_accepts_and_denials_are_final() {
    check(
        &format!("{}{}", first(1, &all("Accept")), network(SHUT)),
        "b/web -> a/db TCP 1 = no_policy allowed allowed",
    );
    check(
        &format!(
            "{}{}",
            first(1, &all("Deny")),
            network("{podSelector: {}, ingress: [{}]}")
        ),
        "b/web -> a/db TCP 1 = no_policy denied denied",
    );
}

#[test]
fn a_pass_leaves_the_tier_at_once() {
    let pass =
        "[{action: Pass, from: [{namespaces: {}}]}, {action: Accept, from: [{namespaces: {}}]}]";
    let later = tier("Admin", "second", 2, &all("Accept"));
    check(
        &format!("{}{later}{}", first(1, pass), network(SHUT)),
        "b/web -> a/db TCP 1 = no_policy would_deny would_deny",
    );
    check(
        &format!("{}{later}{}", first(1, pass), last(&all("Deny"))),
        "b/web -> a/db TCP 1 = no_policy denied denied",
    );
    // At the end of the baseline tier there is nothing but to allow.
    check(
        &last(pass),
        "b/web -> a/db TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn the_smallest_priority_and_then_the_first_rule_decides() {
    let other = |priority| tier("Admin", "other", priority, &all("Deny"));
    let accept = first(10, &all("Accept"));
    check(
        &format!("{accept}{}", other(9)),
        "b/web -> a/db TCP 1 = no_policy denied denied",
    );
    check(
        &format!("{accept}{}", other(11)),
        "b/web -> a/db TCP 1 = no_policy allowed allowed",
    );
    check(
        &first(0, "[{action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]},
                   {action: Accept, from: [{namespaces: {}}]}]"),
        "b/web  -> a/db TCP 1 = no_policy denied denied
         b/dual -> a/db TCP 1 = no_policy allowed allowed",
    );
}

#[test]
fn a_network_policy_is_final_for_the_direction_in_which_it_isolates() {
    // Isolated for egress only: what comes in is still for the baseline.
    let egress_only = network("{podSelector: {}, policyTypes: [Egress], egress: [{}]}");
    check(
        &format!("{egress_only}{}", last(&all("Deny"))),
        "b/web -> a/db  TCP 1 = no_policy denied denied
         a/db  -> b/web TCP 1 = allowed no_policy allowed",
    );
    let open = network("{podSelector: {}, ingress: [{}]}");
    check(
        &format!("{open}{}", last(&all("Deny"))),
        "b/web -> a/db TCP 1 = no_policy allowed allowed",
    );
    check(
        &format!("{}{}", network(SHUT), last(&all("Accept"))),
        "b/web -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn to_be_selected_isolates_nothing() {
    check(
        &first(
            1,
            "[{action: Accept, from: [{namespaces: {matchLabels: {team: red}}}]}]",
        ),
        "b/web   -> a/db TCP 1 = no_policy no_policy no_policy
         9.9.9.9 -> a/db TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn an_accept_of_egress_needs_the_destination_as_well() {
    let out = cluster(
        "out",
        "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{namespaces: {}}]}]}",
    );
    check(
        &format!("{out}{}", network(SHUT)),
        "b/web -> a/db TCP 1 = allowed would_deny would_deny",
    );
}
