//! Peers and ports of cluster-wide rules, and the older version of their API.

use super::{Options, admin, check, check_with, cluster, network, object};

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
