//! Policies of one tier with the same priority.

use super::{admin, check, cluster, load, network};
use crate::{Options, judge};

fn of(name: &str, tier: &str, action: &str) -> String {
    cluster(
        name,
        &format!(
            "{{tier: {tier}, priority: 7, subject: {{namespaces: {{}}}}, ingress: [{{action: {action}, from: [{{namespaces: {{}}}}]}}]}}"
        ),
    )
}

#[test]
fn what_all_come_to_is_the_verdict_with_a_caveat() {
    check(
        &format!("{}{}", of("x", "Admin", "Deny"), of("z", "Admin", "Deny")),
        "b/web -> a/db TCP 1 = no_policy denied+priority_tie_same_result denied",
    );
    // One passes to a NetworkPolicy that allows: both come to the same.
    let open = network("{podSelector: {}, ingress: [{}]}");
    check(
        &format!(
            "{}{}{open}",
            of("x", "Admin", "Pass"),
            of("z", "Admin", "Accept")
        ),
        "b/web -> a/db TCP 1 = no_policy allowed+priority_tie_same_result allowed",
    );
}

#[test]
fn what_differs_is_left_open() {
    check(
        &format!("{}{}", of("x", "Admin", "Deny"), of("z", "Admin", "Accept")),
        "b/web -> a/db TCP 1 = no_policy undefined(priority_tie) undefined(priority_tie)",
    );
    let shut = network("{podSelector: {}}");
    check(
        &format!(
            "{}{}{shut}",
            of("x", "Admin", "Pass"),
            of("z", "Admin", "Accept")
        ),
        "b/web -> a/db TCP 1 = no_policy undefined(priority_tie) undefined(priority_tie)",
    );
    check(
        &format!(
            "{}{}",
            of("x", "Baseline", "Deny"),
            of("z", "Baseline", "Accept")
        ),
        "b/web -> a/db TCP 1 = no_policy undefined(priority_tie) undefined(priority_tie)",
    );
}

#[test]
fn each_of_them_is_listed() {
    let text = format!("{}{}", of("x", "Admin", "Deny"), of("z", "Admin", "Accept"));
    let (engine, _) = load(&text, Options::default());
    let verdict = judge(&engine, "b/web -> a/db TCP 1");
    let names: Vec<_> = verdict
        .ingress
        .hits
        .iter()
        .map(|hit| engine.policy(hit.policy).to_string())
        .collect();
    assert_eq!(names, ["ClusterNetworkPolicy x", "ClusterNetworkPolicy z"]);
}

#[test]
fn only_those_that_match_are_tied() {
    let other = cluster(
        "z",
        "{tier: Admin, priority: 7, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {matchLabels: {team: blue}}}]}]}",
    );
    check(
        &format!("{}{other}", of("x", "Admin", "Deny")),
        "b/web -> a/db TCP 1 = no_policy denied denied",
    );
}

#[test]
fn both_versions_of_the_api_share_the_tier() {
    let old = admin(
        "old",
        "{priority: 7, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}]}]}",
    );
    check(
        &format!("{old}{}", of("x", "Admin", "Deny")),
        "b/web -> a/db TCP 1 = no_policy undefined(priority_tie) undefined(priority_tie)",
    );
}
