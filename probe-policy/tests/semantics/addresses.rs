//! Addresses: blocks, families, nodes, services, pods that are no more.

use probe_policy::{
    engine::{Engine, Options},
    verdict::{
        Caveat, Reason,
        Word::{Allowed, Exempt, NoPolicy, Undefined, Unknown, WouldDeny},
    },
};

use crate::{engine, expect, judge, load, named_policy, policy};

#[test]
fn a_hole_is_filled_by_another_policy_and_families_are_apart() {
    let block = named_policy(
        "p",
        "{ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.8/29]}}]}]}",
    );
    expect(
        &engine(&block),
        &[
            ("192.0.2.7 -> x/a TCP 80", NoPolicy, Allowed),
            ("192.0.2.9 -> x/a TCP 80", NoPolicy, WouldDeny),
            ("::ffff:192.0.2.7 -> x/a TCP 80", NoPolicy, Allowed),
            ("2001:db8::1 -> x/a TCP 80", NoPolicy, WouldDeny),
        ],
    );
    let filled = block
        + &named_policy(
            "q",
            "{ingress: [{from: [{ipBlock: {cidr: 192.0.2.9/32}}]}]}",
        );
    expect(
        &engine(&filled),
        &[("192.0.2.9 -> x/a TCP 80", NoPolicy, Allowed)],
    );
    let all = engine(&policy(
        "{ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
    ));
    expect(
        &all,
        &[
            ("192.0.2.9 -> x/a TCP 80", NoPolicy, Allowed),
            ("2001:db8::1 -> x/a TCP 80", NoPolicy, WouldDeny),
        ],
    );
}

#[test]
fn a_block_matches_pods_by_any_of_their_addresses_unless_it_is_not_to() {
    let manifests = policy("{ingress: [{from: [{ipBlock: {cidr: 'fd00::2:0/112'}}]}]}");
    let by_address = engine(&manifests);
    let verdict = judge(&by_address, "y/a -> x/a TCP 80");
    assert_eq!(
        (verdict.ingress.word, &verdict.ingress.caveats[..]),
        (Allowed, &[Caveat::IpblockMatchedPod][..])
    );
    // Of a connection with an address, that address counts.
    expect(
        &by_address,
        &[
            ("10.0.2.1 -> x/a TCP 80", NoPolicy, WouldDeny),
            ("fd00::2:1 -> x/a TCP 80", NoPolicy, Allowed),
        ],
    );
    let options = Options {
        blocks_match_pods: false,
        ..Options::default()
    };
    expect(
        &Engine::new(load(&manifests).cluster, options),
        &[("y/a -> x/a TCP 80", NoPolicy, WouldDeny)],
    );
}

#[test]
fn a_pod_is_always_reached_by_itself_and_by_its_node() {
    let engine = engine(&policy("{policyTypes: [Ingress, Egress]}"));
    expect(
        &engine,
        &[
            ("x/a -> x/a TCP 80", Exempt, Exempt),
            ("10.0.1.1 -> fd00::1:1 TCP 80", Exempt, Exempt),
            ("127.0.0.1 -> 127.0.0.1 TCP 80", Exempt, Exempt),
            ("10.9.0.1 -> x/a TCP 80", NoPolicy, Exempt),
            ("10.9.0.2 -> x/a TCP 80", NoPolicy, WouldDeny),
            ("x/a -> 10.9.0.2 TCP 80", WouldDeny, NoPolicy),
        ],
    );
    let out = judge(&engine, "x/a -> 10.9.0.1 TCP 80");
    assert_eq!(
        (out.egress.word, out.egress.reason),
        (Undefined, Some(Reason::EgressToLocalNode))
    );
    assert_eq!(
        (out.egress.lean, out.combined),
        (Some(WouldDeny), Undefined)
    );
}

#[test]
fn a_pod_with_the_network_of_its_node_is_its_node() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: h, namespace: x, labels: {pod: h}}\n\
               spec: {nodeName: n2, hostNetwork: true}\nstatus: {podIP: 10.9.0.2, hostIP: 10.9.0.2}\n---\n";
    let manifests = pod.to_owned()
        + &policy("{policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}]}");
    let cases = |ingress, egress| [("x/h -> x/a TCP 80", egress, ingress)];
    expect(&engine(&manifests), &cases(WouldDeny, NoPolicy));
    let options = Options {
        distinguish_host_network: true,
        ..Options::default()
    };
    expect(
        &Engine::new(load(&manifests).cluster, options),
        &cases(Allowed, WouldDeny),
    );
}

#[test]
fn a_pod_that_has_ended_leaves_its_address() {
    let old = |phase: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: old, namespace: x, labels: {{pod: old}}}}\n\
             status: {{phase: {phase}, podIP: 10.0.5.5}}\n---\n"
        ) + &policy("{ingress: [{from: [{podSelector: {matchLabels: {pod: old}}}]}]}")
    };
    expect(
        &engine(&old("Running")),
        &[("10.0.5.5 -> x/a TCP 80", NoPolicy, Allowed)],
    );
    let ended = engine(&old("Succeeded"));
    expect(
        &ended,
        &[
            ("10.0.5.5 -> x/a TCP 80", NoPolicy, WouldDeny),
            ("x/old -> x/a TCP 80", Unknown, Unknown),
        ],
    );
    assert_eq!(
        judge(&ended, "x/old -> x/a TCP 80").reason,
        Some(Reason::NoPodData)
    );
}

#[test]
fn a_service_is_what_is_behind_it() {
    let service = |addresses: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: s, namespace: x}}\n\
             spec: {{clusterIP: 10.96.0.1, ports: [{{name: web, port: 80}}]}}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: s-1, namespace: x, labels: {{kubernetes.io/service-name: s}}}}\n\
             addressType: IPv4\nports: [{{name: web, port: 801}}]\nendpoints: [{{addresses: [{addresses}]}}, \
             {{addresses: [10.0.1.3], conditions: {{ready: false}}}}]\n---\n"
        ) + &policy(
            "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: {ns: y}}}], ports: [{port: http}]}]}",
        )
    };
    let one = engine(&service("10.0.1.1"));
    let verdict = judge(&one, "y/a -> 10.96.0.1 TCP 80");
    assert_eq!(verdict.ingress.word, Allowed);
    assert_eq!(verdict.ingress.caveats, [Caveat::ServiceByEndpointslice]);
    expect(
        &one,
        &[
            ("x/b -> 10.96.0.1 TCP 80", NoPolicy, WouldDeny),
            ("x/b -> 10.96.0.1 TCP 81", Unknown, Unknown),
        ],
    );
    let itself = judge(&one, "x/a -> 10.96.0.1 TCP 80");
    assert_eq!(
        (itself.combined, itself.reason),
        (Undefined, Some(Reason::Hairpin))
    );
    let two = engine(&service("10.0.1.1, 10.0.1.2"));
    let differs = judge(&two, "x/c -> 10.96.0.1 TCP 80");
    assert_eq!(
        (differs.combined, differs.reason),
        (Unknown, Some(Reason::UnresolvedService))
    );
}
