//! Peers by address.

use super::{Options, check, check_with, named, network};

fn egress(block: &str) -> String {
    network(&format!(
        "{{podSelector: {{}}, policyTypes: [Egress], egress: [{{to: [{{ipBlock: {block}}}]}}]}}"
    ))
}

#[test]
fn a_hole_is_not_allowed_and_denies_nothing_that_another_policy_allows() {
    let holed = egress("{cidr: 172.16.0.0/12, except: [172.16.1.0/24]}");
    check(
        &holed,
        "a/web -> 172.16.0.1 TCP 1 = allowed no_policy allowed
         a/web -> 172.16.1.1 TCP 1 = would_deny no_policy would_deny
         a/web -> 172.32.0.1 TCP 1 = would_deny no_policy would_deny",
    );
    let filled = named(
        "q",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 172.16.1.1/32}}]}]}",
    );
    check(
        &format!("{holed}{filled}"),
        "a/web -> 172.16.1.1 TCP 1 = allowed no_policy allowed
         a/web -> 172.16.1.2 TCP 1 = would_deny no_policy would_deny",
    );
}

#[test]
fn another_peer_of_the_same_rule_fills_a_hole_too() {
    check(
        &network(
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [
              {ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}, {podSelector: {matchLabels: {app: db}}}]}]}",
        ),
        "a/web -> a/db   TCP 1 = allowed no_policy allowed
         a/web -> a/bare TCP 1 = would_deny no_policy would_deny
         a/web -> 9.9.9.9 TCP 1 = allowed no_policy allowed",
    );
}

#[test]
fn families_never_match_one_another() {
    check(
        &egress("{cidr: 0.0.0.0/0}"),
        "a/web -> 9.9.9.9     TCP 1 = allowed no_policy allowed
         a/web -> 2001:db8::1 TCP 1 = would_deny no_policy would_deny",
    );
    check(
        &egress("{cidr: '::/0', except: ['2001:db8::/32']}"),
        "a/web -> 9.9.9.9     TCP 1 = would_deny no_policy would_deny
         a/web -> 2001:db7::1 TCP 1 = allowed no_policy allowed
         a/web -> 2001:db8::1 TCP 1 = would_deny no_policy would_deny",
    );
}

#[test]
fn ipv4_in_the_clothes_of_ipv6_is_ipv4() {
    check(
        &egress("{cidr: 9.9.0.0/16}"),
        "a/web -> ::ffff:9.9.9.9  TCP 1 = allowed no_policy allowed
         a/web -> ::ffff:10.0.0.2 TCP 1 = would_deny no_policy would_deny",
    );
    check(
        &egress("{cidr: '::ffff:9.9.0.0/112'}"),
        "a/web -> 9.9.9.9 TCP 1 = allowed no_policy allowed",
    );
    // The address of a pod is the pod.
    check(
        &network(
            "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}",
        ),
        "::ffff:10.0.0.1 -> ::ffff:10.0.0.2 TCP 1 = no_policy allowed allowed
         ::ffff:10.0.0.3 -> ::ffff:10.0.0.2 TCP 1 = no_policy would_deny would_deny",
    );
}

#[test]
fn a_pod_is_matched_by_its_address_with_a_caveat() {
    let text = egress("{cidr: 10.0.0.0/24}");
    check(
        &text,
        "a/web -> a/db  TCP 1 = allowed+ipblock_matched_pod no_policy allowed
         a/web -> b/web TCP 1 = would_deny no_policy would_deny",
    );
    let by_labels_only = Options {
        blocks_match_pods: false,
        ..Options::default()
    };
    check_with(
        &text,
        by_labels_only,
        "a/web -> a/db     TCP 1 = would_deny no_policy would_deny
         a/web -> 10.0.0.9 TCP 1 = allowed no_policy allowed",
    );
}

#[test]
fn there_is_no_caveat_where_a_selector_allows_too() {
    let selector = named(
        "q",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]}",
    );
    check(
        &format!("{}{selector}", egress("{cidr: 10.0.0.0/24}")),
        "a/web -> a/db   TCP 1 = allowed no_policy allowed
         a/web -> a/bare TCP 1 = allowed+ipblock_matched_pod no_policy allowed",
    );
}

#[test]
fn a_pod_of_two_families_is_one_pod() {
    check(
        &network(
            "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: dual}}}]}]}",
        ),
        "b/dual   -> a/db TCP 1 = no_policy allowed allowed
         fd00::2  -> a/db TCP 1 = no_policy allowed allowed
         10.0.1.2 -> a/db TCP 1 = no_policy allowed allowed
         fd00::3  -> a/db TCP 1 = no_policy would_deny would_deny",
    );
    // A block is about the address in use. Where only the pod is known, any of its addresses may be.
    check(
        &egress("{cidr: 'fd00::/64'}"),
        "a/web -> fd00::2  TCP 1 = allowed+ipblock_matched_pod no_policy allowed
         a/web -> 10.0.1.2 TCP 1 = would_deny no_policy would_deny
         a/web -> b/dual   TCP 1 = allowed+ipblock_matched_pod no_policy allowed",
    );
}

#[test]
fn host_bits_and_leading_zeros_of_old_objects_are_masked() {
    for cidr in ["172.16.5.7/12", "172.016.000.000/12"] {
        check(
            &egress(&format!("{{cidr: {cidr}}}")),
            "a/web -> 172.31.0.1 TCP 1 = allowed no_policy allowed
             a/web -> 172.32.0.1 TCP 1 = would_deny no_policy would_deny",
        );
    }
}

#[test]
fn an_external_source_is_matched_by_its_address() {
    check(
        &network(
            "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 9.9.9.0/24, except: [9.9.9.128/25]}}]}]}",
        ),
        "9.9.9.1   -> a/db TCP 1 = no_policy allowed allowed
         9.9.9.129 -> a/db TCP 1 = no_policy would_deny would_deny",
    );
}
