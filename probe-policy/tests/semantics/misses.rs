//! What is said of a denial by isolation: all policies that isolate, each with how nearly it came to allow.

use probe_policy::verdict::Miss;

use super::{Options, judge, load, named};

/// Names, rules and misses of the policies that isolate `a/db`.
fn misses(text: &str, question: &str) -> Vec<(String, Option<u16>, Option<Miss>)> {
    let (engine, _) = load(text, Options::default());
    let verdict = judge(&engine, question);
    let hits = verdict.ingress.hits.iter();
    hits.map(|hit| (engine.policy(hit.policy).name.clone(), hit.rule, hit.miss))
        .collect()
}

fn one(rules: &str) -> (Option<u16>, Miss) {
    let text = named("p", &format!("{{podSelector: {{}}, ingress: {rules}}}"));
    let all = misses(&text, "b/web -> a/db TCP 80");
    let [(_, rule, Some(miss))] = all[..] else {
        panic!("{all:?}");
    };
    (rule, miss)
}

#[test]
fn the_nearest_rule_of_a_policy_is_named() {
    let own = "from: [{podSelector: {}}]";
    let every = "from: [{namespaceSelector: {}}]";
    assert_eq!(one("[]"), (None, Miss::NoRule));
    assert_eq!(
        one(&format!("[{{{own}, ports: [{{port: 1}}]}}]")),
        (Some(0), Miss::Both)
    );
    assert_eq!(one(&format!("[{{{own}}}]")), (Some(0), Miss::Peer));
    assert_eq!(
        one(&format!("[{{{own}}}, {{{every}, ports: [{{port: 1}}]}}]")),
        (Some(1), Miss::Port)
    );
    assert_eq!(
        one(&format!(
            "[{{{every}, ports: [{{port: 1}}]}}, {{{every}, ports: [{{port: metrics}}]}}]"
        )),
        (Some(1), Miss::NamedPort)
    );
}

#[test]
fn a_name_with_another_number_misses_by_the_port() {
    assert_eq!(one("[{ports: [{port: serve}]}]"), (Some(0), Miss::Port));
}

#[test]
fn all_policies_that_isolate_are_listed() {
    let text = format!(
        "{}{}{}",
        named("one", "{podSelector: {}}"),
        named("two", "{podSelector: {}, ingress: [{ports: [{port: 1}]}]}"),
        named("other", "{podSelector: {matchLabels: {app: web}}}"),
    );
    assert_eq!(
        misses(&text, "b/web -> a/db TCP 80"),
        [
            ("one".to_owned(), None, Some(Miss::NoRule)),
            ("two".to_owned(), Some(0), Some(Miss::Port)),
        ]
    );
}

#[test]
fn all_rules_that_allow_are_listed_with_their_parts() {
    let text = format!(
        "{}{}",
        named(
            "one",
            "{podSelector: {}, ingress: [{ports: [{port: 1}]}, {from: [{podSelector: {}}, {namespaceSelector: {}}], ports: [{port: 1}, {port: 80}]}]}"
        ),
        named("two", "{podSelector: {}, ingress: [{}]}"),
    );
    let (engine, _) = load(&text, Options::default());
    let hits = judge(&engine, "b/web -> a/db TCP 80").ingress.hits;
    let parts: Vec<_> = hits
        .iter()
        .map(|hit| {
            (
                engine.policy(hit.policy).name.as_str(),
                hit.rule,
                hit.peer,
                hit.port,
            )
        })
        .collect();
    assert_eq!(
        parts,
        [
            ("one", Some(1), Some(1), Some(1)),
            ("two", Some(0), None, None)
        ]
    );
}
