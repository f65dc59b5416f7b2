//! Services, which are judged by what is behind them.

use super::{check, cluster, network};

/// A service 10.96.0.1 whose port 80 is port 8080 of these ready addresses.
fn service(ready: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Service, metadata: {{name: s, namespace: a}}, spec: {{clusterIP: 10.96.0.1, ports: [{{name: http, port: 80, targetPort: 8080}}]}}}}
---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: s-1, namespace: a, labels: {{kubernetes.io/service-name: s}}}}, addressType: IPv4, ports: [{{name: http, port: 8080}}], endpoints: [
  {{addresses: [{ready}]}}, {{addresses: [10.0.0.3], conditions: {{ready: false}}}}]}}\n"
    )
}

const UNRESOLVED: &str =
    "unknown(unresolved_service) unknown(unresolved_service) unknown(unresolved_service)";

#[test]
fn the_port_and_the_pods_behind_a_service_are_judged() {
    let policy = network("{podSelector: {}, ingress: [{ports: [{port: 8080}]}]}");
    check(
        &format!("{policy}{}", service("10.0.0.1, 10.0.0.2")),
        "b/web -> 10.96.0.1 TCP 80 = no_policy+service_by_endpointslice allowed+service_by_endpointslice allowed",
    );
    let policy = network("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}");
    check(
        &format!("{policy}{}", service("10.0.0.1, 10.0.0.2")),
        "b/web -> 10.96.0.1 TCP 80 = no_policy+service_by_endpointslice would_deny+service_by_endpointslice would_deny",
    );
}

#[test]
fn ends_that_differ_do_not_resolve() {
    let policy = network("{podSelector: {matchLabels: {app: db}}}");
    check(
        &format!("{policy}{}", service("10.0.0.1, 10.0.0.2")),
        &format!("b/web -> 10.96.0.1 TCP 80 = {UNRESOLVED}"),
    );
    // Of ends that are not ready nothing is asked.
    let policy = network("{podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}}");
    check(
        &format!("{policy}{}", service("10.0.0.1, 10.0.0.2")),
        "b/web -> 10.96.0.1 TCP 80 = no_policy+service_by_endpointslice no_policy+service_by_endpointslice no_policy",
    );
}

#[test]
fn a_port_or_a_service_without_ends_does_not_resolve() {
    check(
        &service("10.0.0.1"),
        &format!(
            "b/web -> 10.96.0.1 TCP 81 = {UNRESOLVED}
             b/web -> 10.96.0.1 UDP 80 = {UNRESOLVED}"
        ),
    );
    check(
        &service(""),
        &format!("b/web -> 10.96.0.1 TCP 80 = {UNRESOLVED}"),
    );
}

#[test]
fn the_address_of_a_service_is_matched_by_no_block() {
    let policy = network(
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/16}}]}]}",
    );
    check(
        &format!("{policy}{}", service("10.0.1.1")),
        "a/web -> 10.96.0.1 TCP 80 = would_deny+service_by_endpointslice _ would_deny",
    );
}

#[test]
fn a_pod_behind_its_own_service_is_left_open_where_a_policy_isolates_it() {
    check(
        &format!("{}{}", network("{podSelector: {}}"), service("10.0.0.1")),
        "a/web -> 10.96.0.1 TCP 80 = no_policy+service_by_endpointslice undefined(hairpin)~would_deny+service_by_endpointslice undefined(hairpin)",
    );
    check(
        &format!(
            "{}{}",
            network("{podSelector: {}, ingress: [{}]}"),
            service("10.0.0.1")
        ),
        "a/web -> 10.96.0.1 TCP 80 = _ undefined(hairpin)~allowed+service_by_endpointslice undefined(hairpin)",
    );
    check(
        &service("10.0.0.1"),
        "a/web -> 10.96.0.1 TCP 80 = _ no_policy+service_by_endpointslice no_policy",
    );
}

#[test]
fn rules_of_the_whole_cluster_are_about_a_pod_behind_its_own_service() {
    let deny = |tier: &str| {
        cluster(
            "c",
            &format!(
                "{{tier: {tier}, priority: 1, subject: {{namespaces: {{}}}}, ingress: [{{action: Deny, from: [{{namespaces: {{}}}}]}}]}}"
            ),
        )
    };
    let service = service("10.0.0.1");
    for tier in ["Admin", "Baseline"] {
        check(
            &format!("{}{service}", deny(tier)),
            "a/web -> 10.96.0.1 TCP 80 = _ denied+service_by_endpointslice denied
             a/web -> 10.0.0.1  TCP 80 = exempt(loopback) exempt(loopback) exempt(loopback)",
        );
    }
}
