//! Nodes, and pods that have the network of theirs.

use super::{Options, check, check_with, network};

const SHUT: &str = "{podSelector: {}, policyTypes: [Ingress, Egress]}";
const AGENT: &str = "---
{apiVersion: v1, kind: Pod, metadata: {name: agent, namespace: a, labels: {app: agent}}, spec: {hostNetwork: true, nodeName: n2, containers: [{name: c}]}, status: {podIP: 192.168.0.2, hostIP: 192.168.0.2}}
";
const FROM_AGENT: &str =
    "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: agent}}}]}]}";

#[test]
fn the_own_node_may_come_in_and_what_goes_to_it_is_left_open() {
    check(
        &network(SHUT),
        "192.168.0.1 -> a/web TCP 1 = no_policy exempt(local_node) exempt(local_node)
         192.168.0.2 -> a/web TCP 1 = no_policy would_deny would_deny
         a/web -> 192.168.0.1 TCP 1 = undefined(egress_to_local_node)~would_deny no_policy undefined(egress_to_local_node)
         a/web -> 192.168.0.2 TCP 1 = would_deny no_policy would_deny",
    );
}

#[test]
fn what_a_rule_allows_to_the_own_node_is_allowed() {
    check(
        &network(
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.0.1/32}}]}]}",
        ),
        "a/web -> 192.168.0.1 TCP 1 = allowed no_policy allowed
         a/web -> 192.168.0.2 TCP 1 = would_deny no_policy would_deny",
    );
}

#[test]
fn the_own_node_is_known_by_the_status_of_the_pod_too() {
    let pod = "---
{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: a}, spec: {nodeName: n9, containers: [{name: c}]}, status: {podIP: 10.0.9.1, hostIP: 192.168.0.9}}
";
    check(
        &format!("{}{pod}", network(SHUT)),
        "192.168.0.9 -> a/far TCP 1 = no_policy exempt(local_node) exempt(local_node)",
    );
}

#[test]
fn a_pod_with_the_network_of_its_node_is_as_the_node_is() {
    check(
        &format!("{}{AGENT}", network(FROM_AGENT)),
        "a/agent -> a/web   TCP 1 = no_policy would_deny would_deny
         a/web   -> a/agent TCP 1 = no_policy no_policy no_policy",
    );
    let block = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.2/32}}]}]}";
    check(
        &format!("{}{AGENT}", network(block)),
        "a/agent -> a/web TCP 1 = no_policy allowed allowed",
    );
    check(
        &format!(
            "{}{}",
            network(SHUT),
            AGENT.replace("n2", "n1").replace("168.0.2", "168.0.1")
        ),
        "a/agent -> a/web TCP 1 = no_policy exempt(local_node) exempt(local_node)",
    );
}

#[test]
fn it_is_a_pod_where_such_pods_are_told_apart() {
    let distinguish = Options {
        distinguish_host_network: true,
        ..Options::default()
    };
    check_with(
        &format!("{}{AGENT}", network(FROM_AGENT)),
        distinguish,
        "a/agent -> a/web   TCP 1 = no_policy allowed allowed
         b/web   -> a/agent TCP 1 = no_policy would_deny would_deny
         192.168.0.2 -> a/web TCP 1 = no_policy would_deny would_deny",
    );
}
