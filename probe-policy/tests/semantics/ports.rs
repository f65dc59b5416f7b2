//! Ports and protocols.

use super::{check, cluster, network};

fn ingress(ports: &str) -> String {
    network(&format!(
        "{{podSelector: {{}}, ingress: [{{ports: {ports}}}]}}"
    ))
}

/// A pod of namespace a with the labels of `a/web`.
fn twin(name: &str, address: &str, containers: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: a, labels: {{app: web, tier: front}}}}, spec: {{{containers}}}, status: {{podIP: {address}}}}}\n"
    )
}

#[test]
fn both_ends_of_a_range_are_in_it() {
    check(
        &ingress("[{port: 8000, endPort: 8002}]"),
        "b/web -> a/db TCP 7999 = no_policy would_deny would_deny
         b/web -> a/db TCP 8000 = no_policy allowed allowed
         b/web -> a/db TCP 8002 = no_policy allowed allowed
         b/web -> a/db TCP 8003 = no_policy would_deny would_deny
         b/web -> a/db UDP 8001 = no_policy would_deny would_deny",
    );
    check(
        &ingress("[{port: 65535, endPort: 65535}]"),
        "b/web -> a/db TCP 65535 = no_policy allowed allowed",
    );
}

#[test]
fn sctp_is_never_tcp() {
    check(
        &ingress("[{protocol: SCTP, port: 80}]"),
        "b/web -> a/db SCTP 80 = no_policy allowed allowed
         b/web -> a/db TCP  80 = no_policy would_deny would_deny",
    );
    check(
        &ingress("[{protocol: TCP, port: 80}]"),
        "b/web -> a/db SCTP 80 = no_policy would_deny would_deny",
    );
}

#[test]
fn a_name_is_looked_up_in_the_destination_in_both_directions() {
    check(
        &ingress("[{port: serve}]"),
        "b/web -> a/db  TCP 5432 = no_policy allowed allowed
         b/web -> a/db  TCP 80   = no_policy would_deny would_deny
         b/web -> a/web TCP 80   = no_policy allowed allowed
         b/web -> a/db  UDP 5432 = no_policy would_deny would_deny",
    );
    check(
        &network("{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: serve}]}]}"),
        "a/web -> a/db    TCP 5432 = allowed no_policy allowed
         a/web -> a/db    TCP 80   = would_deny no_policy would_deny
         a/web -> b/web   TCP 80   = would_deny no_policy would_deny
         a/web -> 9.9.9.9 TCP 80   = would_deny no_policy would_deny",
    );
}

#[test]
fn pods_with_the_same_labels_may_have_other_numbers_for_a_name() {
    let other = twin(
        "canary",
        "10.0.0.9",
        "containers: [{name: c, ports: [{name: serve, containerPort: 8080}]}]",
    );
    check(
        &format!("{}{other}", ingress("[{port: serve}]")),
        "b/web -> a/web    TCP 80   = no_policy allowed allowed
         b/web -> a/web    TCP 8080 = no_policy would_deny would_deny
         b/web -> a/canary TCP 8080 = no_policy allowed allowed
         b/web -> a/canary TCP 80   = no_policy would_deny would_deny",
    );
}

#[test]
fn a_name_may_be_of_several_containers_and_of_several_protocols() {
    let several = twin(
        "several",
        "10.0.0.9",
        "containers: [{name: c, ports: [{name: serve, containerPort: 1}]}, {name: d, ports: [
          {name: serve, containerPort: 2}, {name: serve, containerPort: 3, protocol: UDP}]}]",
    );
    check(
        &format!("{}{several}", ingress("[{port: serve}]")),
        "b/web -> a/several TCP 1 = no_policy allowed allowed
         b/web -> a/several TCP 2 = no_policy allowed allowed
         b/web -> a/several TCP 3 = no_policy would_deny would_deny
         b/web -> a/several UDP 3 = no_policy would_deny would_deny",
    );
    check(
        &format!("{}{several}", ingress("[{port: serve, protocol: UDP}]")),
        "b/web -> a/several UDP 3 = no_policy allowed allowed
         b/web -> a/several UDP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn a_sidecar_counts_and_another_container_of_the_start_does_not() {
    let pod = twin(
        "meshed",
        "10.0.0.9",
        "containers: [{name: c}], initContainers: [
          {name: mesh, restartPolicy: Always, ports: [{name: serve, containerPort: 15001}]},
          {name: setup, ports: [{name: serve, containerPort: 7}]}]",
    );
    check(
        &format!("{}{pod}", ingress("[{port: serve}]")),
        "b/web -> a/meshed TCP 15001 = no_policy allowed allowed
         b/web -> a/meshed TCP 7     = no_policy would_deny would_deny",
    );
}

#[test]
fn icmp_is_left_open_where_a_policy_isolates() {
    check(
        &ingress("[{port: 80}]"),
        "b/web -> a/db  ICMP   0 = no_policy undefined(protocol)~would_deny undefined(protocol)
         b/web -> a/db  ICMPv6 0 = no_policy undefined(protocol)~would_deny undefined(protocol)
         b/web -> a/db  47     0 = no_policy undefined(protocol)~would_deny undefined(protocol)
         a/web -> b/web ICMP   0 = no_policy no_policy no_policy",
    );
    check(
        &network("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"),
        "a/web -> a/db ICMP 0 = no_policy undefined(protocol)~allowed undefined(protocol)
         b/web -> a/db ICMP 0 = no_policy undefined(protocol)~would_deny undefined(protocol)",
    );
}

#[test]
fn rules_of_the_whole_cluster_are_about_all_protocols_unless_they_name_some() {
    let deny = |protocols: &str| {
        cluster(
            "c",
            &format!(
                "{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, ingress: [{{action: Deny, from: [{{namespaces: {{}}}}]{protocols}}}]}}"
            ),
        )
    };
    check(
        &deny(""),
        "b/web -> a/db ICMP 0 = no_policy denied denied
         b/web -> a/db SCTP 1 = no_policy denied denied",
    );
    check(
        &deny(", protocols: [{tcp: {}}]"),
        "b/web -> a/db ICMP 0 = no_policy no_policy no_policy
         b/web -> a/db SCTP 1 = no_policy no_policy no_policy
         b/web -> a/db TCP  1 = no_policy denied denied",
    );
}
