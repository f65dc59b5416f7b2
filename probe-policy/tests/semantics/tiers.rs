//! The tiers: admin, NetworkPolicies, baseline.

use super::{Options, admin, check, check_with, cluster, network, object};

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

fn to(action: &str, peers: &str, protocols: &str) -> String {
    cluster(
        "out",
        &format!(
            "{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: [{{action: {action}, to: {peers}{protocols}}}]}}"
        ),
    )
}

#[test]
fn a_protocol_without_a_port_is_all_of_its_ports_and_a_range_has_both_ends() {
    check(
        &to(
            "Deny",
            "[{namespaces: {}}]",
            ", protocols: [{udp: {}}, {tcp: {destinationPort: {range: {start: 80, end: 81}}}}]",
        ),
        "a/web -> a/db UDP 1  = denied no_policy denied
         a/web -> a/db TCP 79 = no_policy no_policy no_policy
         a/web -> a/db TCP 80 = denied no_policy denied
         a/web -> a/db TCP 81 = denied no_policy denied
         a/web -> a/db TCP 82 = no_policy no_policy no_policy",
    );
}

#[test]
fn a_named_port_has_the_protocol_of_the_containers_port() {
    check(
        &to(
            "Deny",
            "[{namespaces: {}}]",
            ", protocols: [{destinationNamedPort: serve}]",
        ),
        "b/web -> a/db  TCP 5432 = denied no_policy denied
         b/web -> a/db  UDP 5432 = no_policy no_policy no_policy
         b/web -> a/web TCP 5432 = no_policy no_policy no_policy",
    );
}

#[test]
fn networks_match_pods_too() {
    let text = to("Deny", "[{networks: [10.0.0.0/24, 'fd00::/64']}]", "");
    check(
        &text,
        "b/web -> a/db    TCP 1 = denied+ipblock_matched_pod no_policy denied
         b/web -> fd00::9 TCP 1 = denied no_policy denied
         b/web -> 9.9.9.9 TCP 1 = no_policy no_policy no_policy",
    );
    let by_labels_only = Options {
        blocks_match_pods: false,
        ..Options::default()
    };
    check_with(
        &text,
        by_labels_only,
        "b/web -> a/db TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn nodes_are_matched_by_their_addresses_and_pods_are_no_nodes() {
    check(
        &to("Deny", "[{nodes: {matchLabels: {role: control}}}]", ""),
        "a/web -> 192.168.0.2 TCP 1 = denied no_policy denied
         a/web -> 192.168.0.1 TCP 1 = no_policy no_policy no_policy
         a/web -> b/web       TCP 1 = no_policy no_policy no_policy
         a/web -> 9.9.9.9     TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn a_port_of_v1alpha1_is_of_tcp_unless_it_says_otherwise() {
    let ports = |ports: &str| {
        admin(
            "old",
            &format!(
                "{{priority: 5, subject: {{namespaces: {{}}}}, ingress: [{{action: Deny, from: [{{namespaces: {{}}}}], ports: {ports}}}]}}"
            ),
        )
    };
    check(
        &ports("[{portNumber: {port: 80}}, {portRange: {start: 90, end: 91}}]"),
        "b/web -> a/db TCP 80 = no_policy denied denied
         b/web -> a/db UDP 80 = no_policy no_policy no_policy
         b/web -> a/db TCP 91 = no_policy denied denied
         b/web -> a/db UDP 91 = no_policy no_policy no_policy",
    );
    check(
        &ports("[{portNumber: {port: 53, protocol: UDP}}, {namedPort: serve}]"),
        "b/web -> a/db UDP 53   = no_policy denied denied
         b/web -> a/db TCP 53   = no_policy no_policy no_policy
         b/web -> a/db TCP 5432 = no_policy denied denied",
    );
}

#[test]
fn the_old_baseline_comes_last() {
    let baseline = object(
        "policy.networking.k8s.io/v1alpha1",
        "BaselineAdminNetworkPolicy",
        "default",
        "{subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
    );
    check(&baseline, "b/web -> a/db TCP 1 = no_policy denied denied");
    check(
        &format!(
            "{baseline}{}",
            network("{podSelector: {matchLabels: {app: db}}, ingress: [{}]}")
        ),
        "b/web -> a/db   TCP 1 = no_policy allowed allowed
         b/web -> a/bare TCP 1 = no_policy denied denied",
    );
}
