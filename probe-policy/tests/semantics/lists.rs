//! Lists that are empty, missing or `null`, and the directions that a policy is about.

use super::{Options, check, load, network};

const OPEN: &str = "b/web    -> a/db TCP 1 = no_policy allowed allowed
                    10.9.9.9 -> a/db UDP 1 = no_policy allowed allowed";
const SHUT: &str = "b/web    -> a/db TCP 1 = no_policy would_deny would_deny
                    10.9.9.9 -> a/db UDP 1 = no_policy would_deny would_deny";
const OUT: &str = "a/db -> 10.9.9.9 TCP 1 = allowed no_policy allowed
                   a/db -> b/web    UDP 1 = allowed no_policy allowed";

#[test]
fn an_empty_list_of_peers_is_as_good_as_none() {
    for rule in [
        "{}",
        "{from: []}",
        "{from: null}",
        "{ports: []}",
        "{ports: null}",
        "{from: [], ports: []}",
    ] {
        check(
            &network(&format!("{{podSelector: {{}}, ingress: [{rule}]}}")),
            OPEN,
        );
    }
    for rule in [
        "{}",
        "{to: []}",
        "{to: null}",
        "{ports: []}",
        "{to: [], ports: null}",
    ] {
        let spec = format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}");
        check(&network(&spec), OUT);
    }
}

#[test]
fn a_missing_list_of_ports_matches_all_protocols_and_an_item_only_its_own() {
    let spec = |ports| format!("{{podSelector: {{}}, ingress: [{{ports: {ports}}}]}}");
    check(
        &network(&spec("[{protocol: UDP}]")),
        "b/web -> a/db UDP 9 = no_policy allowed allowed
         b/web -> a/db TCP 9 = no_policy would_deny would_deny",
    );
    // Absent is TCP, even of an item that is empty.
    check(
        &network(&spec("[{}]")),
        "b/web -> a/db TCP 9 = no_policy allowed allowed
         b/web -> a/db UDP 9 = no_policy would_deny would_deny",
    );
}

#[test]
fn no_rules_deny_all() {
    for spec in [
        "{podSelector: {}}",
        "{podSelector: {}, ingress: []}",
        "{podSelector: {}, ingress: null}",
        "{podSelector: null}",
        "{}",
        "{podSelector: {}, policyTypes: [Ingress]}",
        "{podSelector: {}, policyTypes: []}",
        "{podSelector: {}, policyTypes: [Ingress, Ingress]}",
    ] {
        check(&network(spec), SHUT);
    }
}

#[test]
fn a_null_rule_allows_everything_and_is_warned_of() {
    let text = network("{podSelector: {}, ingress: [null]}");
    check(&text, OPEN);
    let (_, findings) = load(&text, Options::default());
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["warning: case.yaml (document 1): spec.ingress[0]: is null, which stands for `{}`"]
    );
}

#[test]
fn a_null_port_is_every_port_of_tcp() {
    check(
        &network("{podSelector: {}, ingress: [{ports: [null]}]}"),
        "b/web -> a/db TCP 9 = no_policy allowed allowed
         b/web -> a/db UDP 9 = no_policy would_deny would_deny",
    );
}

#[test]
fn egress_without_types_counts_if_it_has_a_rule() {
    let neither = "a/db -> b/web TCP 1 = no_policy no_policy no_policy
                   b/web -> a/db TCP 1 = no_policy would_deny would_deny";
    check(&network("{podSelector: {}, egress: []}"), neither);
    check(&network("{podSelector: {}, egress: null}"), neither);
    check(
        &network("{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}"),
        "a/db  -> b/web TCP 1 = would_deny no_policy would_deny
         b/web -> a/db  TCP 1 = no_policy would_deny would_deny",
    );
    check(
        &network("{podSelector: {}, policyTypes: [Egress], egress: []}"),
        "a/db  -> b/web TCP 1 = would_deny no_policy would_deny
         b/web -> a/db  TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn rules_of_a_direction_that_is_not_named_have_no_effect() {
    check(
        &network("{podSelector: {}, policyTypes: [Egress], ingress: [], egress: [{}]}"),
        "b/web -> a/db  TCP 1 = no_policy no_policy no_policy
         a/db  -> b/web TCP 1 = allowed no_policy allowed",
    );
    check(
        &network("{podSelector: {}, policyTypes: [Ingress], egress: [{to: [{podSelector: {}}]}]}"),
        "a/db -> b/web TCP 1 = no_policy no_policy no_policy",
    );
}

#[test]
fn both_directions_are_judged_even_if_one_denies() {
    check(
        &network("{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}]}"),
        "a/web -> a/db TCP 1 = would_deny allowed would_deny",
    );
}
