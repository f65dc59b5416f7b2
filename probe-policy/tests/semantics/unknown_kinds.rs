//! Peers and protocols of kinds that this version does not know, and names of what is outside.

use super::{check, cluster};

fn egress(rules: &str) -> String {
    cluster(
        "c",
        &format!("{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: {rules}}}"),
    )
}

fn then_deny(first: &str) -> String {
    egress(&format!(
        "[{first}, {{action: Deny, to: [{{namespaces: {{}}}}]}}]"
    ))
}

#[test]
fn what_is_not_understood_accepts_nothing() {
    check(
        &then_deny("{action: Accept, to: [{moons: {}}]}"),
        "a/web -> a/db TCP 1 = denied no_policy denied",
    );
    check(
        &then_deny("{action: Accept, to: [{namespaces: {}}], protocols: [{quic: {}}]}"),
        "a/web -> a/db TCP 1 = denied no_policy denied",
    );
    // The other peers of the rule are understood.
    check(
        &then_deny("{action: Accept, to: [{moons: {}}, {namespaces: {matchLabels: {team: red}}}]}"),
        "a/web -> a/db  TCP 1 = allowed no_policy allowed
         a/web -> b/web TCP 1 = denied no_policy denied",
    );
}

#[test]
fn what_is_not_understood_denies_all_that_it_may_be_about() {
    for action in ["Deny", "Pass"] {
        let rules = format!(
            "[{{action: {action}, to: [{{moons: {{}}}}]}}, {{action: Accept, to: [{{namespaces: {{}}}}]}}]"
        );
        check(
            &egress(&rules),
            "a/web -> a/db    TCP 1 = denied no_policy denied
             a/web -> 9.9.9.9 UDP 1 = denied no_policy denied",
        );
    }
}

#[test]
fn it_denies_no_other_ports_and_no_other_peers_of_the_rule() {
    check(
        &egress(
            "[{action: Deny, to: [{moons: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}]",
        ),
        "a/web -> a/db TCP 80 = denied no_policy denied
         a/web -> a/db TCP 81 = no_policy no_policy no_policy",
    );
    check(
        &egress(
            "[{action: Deny, to: [{namespaces: {matchLabels: {team: red}}}], protocols: [{quic: {}}]}]",
        ),
        "a/web -> a/db  TCP 1 = denied no_policy denied
         a/web -> b/web TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn a_pass_that_is_not_understood_in_part_passes_nothing() {
    check(
        &egress("[{action: Pass, to: [{namespaces: {}}, {moons: {}}]}]"),
        "a/web -> a/db    TCP 1 = denied no_policy denied
         a/web -> 9.9.9.9 TCP 1 = denied no_policy denied",
    );
}

const BY_NAME: &str = "{action: Accept, to: [{domainNames: ['*.example.com']}]}";

#[test]
fn a_denial_that_a_name_may_have_come_before_is_not_known() {
    let deny = "{action: Deny, to: [{networks: [0.0.0.0/0]}]}";
    check(
        &egress(&format!("[{BY_NAME}, {deny}]")),
        "a/web -> 9.9.9.9 TCP 1 = unknown(domain_name)~denied+domain_name_unknown no_policy unknown(domain_name)
         a/web -> a/db    TCP 1 = denied+ipblock_matched_pod no_policy denied",
    );
    check(
        &egress(&format!("[{deny}, {BY_NAME}]")),
        "a/web -> 9.9.9.9 TCP 1 = denied no_policy denied",
    );
}

#[test]
fn what_is_allowed_anyway_needs_no_name() {
    check(
        &egress(&format!("[{BY_NAME}]")),
        "a/web -> 9.9.9.9 TCP 1 = no_policy+domain_name_unknown no_policy no_policy",
    );
}
