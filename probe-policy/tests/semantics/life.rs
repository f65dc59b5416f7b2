//! Pods that begin and end, pods that talk to themselves, and what is no pod at all.

use super::{check, network};

const SHUT: &str = "{podSelector: {}, policyTypes: [Ingress, Egress]}";

fn pod(name: &str, status: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: a, labels: {{app: web}}}}, spec: {{containers: [{{name: c}}]}}, status: {status}}}\n"
    )
}

#[test]
fn a_pod_that_has_ended_leaves_its_address() {
    let web_in = network(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
    );
    for phase in ["Succeeded", "Failed"] {
        let ended = pod("job", &format!("{{phase: {phase}, podIP: 10.0.0.8}}"));
        check(
            &format!("{web_in}{ended}"),
            "10.0.0.8 -> a/db TCP 1 = no_policy would_deny would_deny
             a/job -> a/db TCP 1 = unknown(no_pod_data) unknown(no_pod_data) unknown(no_pod_data)
             a/db -> a/job TCP 1 = unknown(no_pod_data) unknown(no_pod_data) unknown(no_pod_data)",
        );
    }
}

#[test]
fn an_address_that_was_given_again_is_the_new_pods() {
    // Whichever comes first by name.
    for (old, new) in [("one", "two"), ("two", "one")] {
        let old = pod(old, "{phase: Succeeded, podIP: 10.0.0.8}");
        let new = pod(new, "{phase: Running, podIP: 10.0.0.8}");
        check(
            &format!("{}{old}{new}", network(SHUT)),
            "b/web -> 10.0.0.8 TCP 1 = no_policy would_deny would_deny",
        );
    }
}

#[test]
fn a_pod_that_is_about_to_end_is_still_selected() {
    let ending = "---
{apiVersion: v1, kind: Pod, metadata: {name: old, namespace: a, deletionTimestamp: '2026-01-01T00:00:00Z'}, spec: {containers: [{name: c}]}, status: {phase: Running, podIP: 10.0.0.8}}
";
    check(
        &format!("{}{ending}", network(SHUT)),
        "b/web -> 10.0.0.8 TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn a_pod_that_talks_to_itself_is_exempt() {
    check(
        &network(SHUT),
        "a/web     -> a/web    TCP 1 = exempt(loopback) exempt(loopback) exempt(loopback)
         a/web     -> 10.0.0.1 TCP 1 = exempt(loopback) exempt(loopback) exempt(loopback)
         b/dual    -> fd00::2  TCP 1 = exempt(loopback) exempt(loopback) exempt(loopback)
         127.0.0.1 -> 127.0.0.1 TCP 1 = exempt(loopback) exempt(loopback) exempt(loopback)
         ::1       -> ::1       TCP 1 = exempt(loopback) exempt(loopback) exempt(loopback)
         a/web     -> ::ffff:127.0.0.1 TCP 1 = exempt(loopback) exempt(loopback) exempt(loopback)",
    );
}

#[test]
fn nothing_applies_to_what_is_no_pod() {
    check(
        &network(SHUT),
        "9.9.9.9 -> 8.8.8.8 TCP 1 = no_policy no_policy no_policy
         9.9.9.9 -> a/web   TCP 1 = no_policy would_deny would_deny
         a/web   -> 9.9.9.9 TCP 1 = would_deny no_policy would_deny",
    );
}

#[test]
fn a_workload_stands_for_its_pods_and_has_no_address() {
    let workload = "---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: api, namespace: a}, spec: {template: {metadata: {labels: {app: api}}, spec: {containers: [{name: c, ports: [{name: serve, containerPort: 9}]}]}}}}
";
    let policy = network(
        "{podSelector: {matchLabels: {app: api}}, policyTypes: [Ingress, Egress], ingress: [{ports: [{port: serve}]}], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
    );
    check(
        &format!("{policy}{workload}"),
        "a/web -> a/api TCP 9 = no_policy allowed allowed
         a/web -> a/api TCP 8 = no_policy would_deny would_deny
         a/api -> a/web TCP 1 = allowed+ipblock_matched_pod no_policy allowed",
    );
    let block = network(
        "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
    );
    check(
        &format!("{block}{workload}"),
        "a/api -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}
