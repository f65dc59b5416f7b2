//! What is doubtful about policies.

use probe_policy::{
    engine::{Doubt, Engine, Options},
    load::{Loaded, Loader},
};

/// Pods `a`, `b` and `c` of the namespaces `x` and `y`, each with the label `pod` and a port `http`, and a node.
fn town() -> String {
    let mut text = String::new();
    for (number, namespace) in [(1, "x"), (2, "y")] {
        text += &format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{ns: {namespace}}}}}\n---\n"
        );
        for (pod, last) in [("a", 1), ("b", 2), ("c", 3)] {
            text += &format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: {pod}, namespace: {namespace}, labels: {{pod: {pod}}}}}\n\
                 spec: {{nodeName: n1, containers: [{{name: c, ports: [{{name: http, containerPort: 80{last}}}]}}]}}\n\
                 status: {{podIPs: [{{ip: 10.0.{number}.{last}}}, {{ip: 'fd00::{number}:{last}'}}]}}\n---\n"
            );
        }
    }
    text + "apiVersion: v1\nkind: Node\nmetadata: {name: n1, labels: {pool: front}}\n\
            status: {addresses: [{type: InternalIP, address: 10.9.0.1}, {type: Hostname, address: n1}]}\n---\n\
            apiVersion: v1\nkind: Node\nmetadata: {name: n2}\nstatus: {addresses: [{type: InternalIP, address: 10.9.0.2}]}\n---\n"
}

fn load(manifests: &str) -> Loaded {
    let mut loader = Loader::default();
    loader.add("case.yaml", &(town() + manifests));
    loader.finish()
}

/// An engine of the town and valid manifests.
fn engine(manifests: &str) -> Engine {
    let loaded = load(manifests);
    assert!(!loaded.has_errors(), "{:?}", loaded.findings);
    Engine::new(loaded.cluster, Options::default())
}

/// A NetworkPolicy of the namespace `x` with this specification.
fn named_policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: x}}\nspec: {spec}\n---\n"
    )
}

/// A ClusterNetworkPolicy.
fn cluster_policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n---\n"
    )
}

fn doubts(engine: &Engine) -> Vec<(Doubt, String, String)> {
    let about_policies = |doubt: &Doubt| *doubt != Doubt::NotIsolated;
    let problems = engine
        .check()
        .into_iter()
        .filter(|problem| about_policies(&problem.doubt));
    problems
        .map(|problem| (problem.doubt, problem.object, problem.field))
        .collect()
}

fn of(doubt: Doubt, name: &str, field: &str) -> (Doubt, String, String) {
    (doubt, format!("NetworkPolicy x/{name}"), field.to_owned())
}

#[test]
fn what_selects_nothing_and_what_is_not_valid_is_named() {
    let policies = named_policy(
        "nobody",
        "{podSelector: {matchLabels: {pod: z}}, ingress: [{}]}",
    ) + &named_policy("broken", "{ingress: [{from: [{}]}]}")
        + &named_policy(
            "good",
            "{ingress: [{from: [{podSelector: {}}, {podSelector: {matchLabels: {pod: z}}}]}]}",
        );
    let engine = Engine::new(load(&policies).cluster, Default::default());
    assert_eq!(
        doubts(&engine),
        [
            of(Doubt::Invalid, "broken", ""),
            of(Doubt::SelectsNothing, "nobody", ""),
            of(Doubt::PeerMatchesNothing, "good", "spec.ingress[0].from[1]"),
        ]
    );
}

#[test]
fn a_rule_is_redundant_if_others_allow_all_of_it_and_not_if_they_allow_a_part() {
    let narrow = named_policy(
        "narrow",
        "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}], ports: [{port: 80, endPort: 90}]}]}",
    );
    let with = |spec: &str| doubts(&engine(&(narrow.clone() + &named_policy("wide", spec))));
    let redundant = [of(Doubt::Redundant, "narrow", "spec.ingress[0]")];
    assert_eq!(with("{ingress: [{from: [{podSelector: {}}]}]}"), redundant);
    assert_eq!(
        with("{ingress: [{ports: [{port: 1, endPort: 100}]}]}"),
        redundant
    );
    // Not all ports, not all peers, not all pods.
    assert_eq!(
        with("{ingress: [{from: [{podSelector: {}}], ports: [{port: 80, endPort: 85}]}]}"),
        []
    );
    assert_eq!(
        with("{ingress: [{from: [{podSelector: {matchLabels: {pod: c}}}]}]}"),
        []
    );
    assert_eq!(
        with("{podSelector: {matchLabels: {pod: c}}, ingress: [{from: [{podSelector: {}}]}]}"),
        []
    );
    let twice = "{ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}";
    let both = doubts(&engine(
        &(named_policy("p", twice) + &named_policy("q", twice)),
    ));
    assert_eq!(
        both,
        ["p", "q"].map(|name| of(Doubt::Redundant, name, "spec.ingress[0]"))
    );
}

#[test]
fn a_rule_of_a_cluster_wide_policy_is_shadowed_if_something_before_decides_all_of_it() {
    let cluster = |name: &str, tier: &str, priority: u16, rules: &str| {
        let subject = "subject: {namespaces: {matchLabels: {ns: x}}}";
        let spec = format!("{{tier: {tier}, priority: {priority}, {subject}, ingress: [{rules}]}}");
        cluster_policy(name, &spec)
    };
    let from = |ns: &str, action: &str, ports: &str| {
        format!(
            "{{action: {action}, from: [{{namespaces: {{matchLabels: {{ns: {ns}}}}}}}]{ports}}}"
        )
    };
    let all = |action: &str| format!("{{action: {action}, from: [{{namespaces: {{}}}}]}}");
    let shadowed = |name: &str, number: usize| {
        let object = format!("ClusterNetworkPolicy {name}");
        (Doubt::Shadowed, object, format!("spec.ingress[{number}]"))
    };
    let of = |text: String| doubts(&engine(&text));
    // By an earlier rule of its policy, and by one of a smaller priority, whatever these do.
    let rules = all("Deny") + "," + &from("y", "Accept", "");
    assert_eq!(of(cluster("p", "Admin", 5, &rules)), [shadowed("p", 1)]);
    for action in ["Accept", "Deny"] {
        let both = cluster("p", "Admin", 5, &from("y", "Deny", ""))
            + &cluster("q", "Admin", 4, &all(action));
        assert_eq!(of(both), [shadowed("p", 0)], "{action}");
    }
    // Not where something is left: other peers, other ports, or a later place.
    let rules = from("y", "Accept", "") + "," + &all("Deny");
    assert_eq!(of(cluster("p", "Admin", 5, &rules)), []);
    let ports = ", protocols: [{tcp: {destinationPort: {number: 80}}}]";
    let rules = from("y", "Accept", ports) + "," + &from("y", "Deny", "");
    assert_eq!(of(cluster("p", "Admin", 5, &rules)), []);
    // What is passed on has a say. NetworkPolicies come before the baseline.
    let baseline = cluster("b", "Baseline", 0, &all("Deny"));
    assert_eq!(of(cluster("p", "Admin", 5, &all("Pass")) + &baseline), []);
    let isolated = named_policy("n", "{podSelector: {}, policyTypes: [Ingress]}");
    assert_eq!(of(isolated + &baseline), [shadowed("b", 0)]);
}

#[test]
fn one_priority_twice_is_doubtful_where_pods_have_both() {
    let spec = |ns: &str| {
        format!(
            "{{tier: Admin, priority: 7, subject: {{namespaces: {{matchLabels: {{ns: {ns}}}}}}}, ingress: [{{action: Deny, from: [{{namespaces: {{}}}}]}}]}}"
        )
    };
    let same = engine(&(cluster_policy("a", &spec("x")) + &cluster_policy("b", &spec("x"))));
    let expected = (
        Doubt::SamePriority,
        "ClusterNetworkPolicy a".to_owned(),
        "spec.priority".to_owned(),
    );
    assert_eq!(doubts(&same), [expected]);
    let apart = engine(&(cluster_policy("a", &spec("x")) + &cluster_policy("b", &spec("y"))));
    assert_eq!(doubts(&apart), []);
}

#[test]
fn workloads_that_nobody_isolates_are_counted_by_namespace() {
    let engine = engine(&named_policy(
        "p",
        "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress]}",
    ));
    let open: Vec<_> = engine
        .check()
        .into_iter()
        .filter(|problem| problem.doubt == Doubt::NotIsolated && problem.object == "Namespace x")
        .map(|problem| problem.message)
        .collect();
    assert_eq!(
        open,
        [
            "no policy isolates 2 of 3 workloads against ingress: b, c",
            "no policy isolates 3 of 3 workloads against egress: a, b, c"
        ]
    );
}

#[test]
fn the_matrix_has_the_ports_that_a_workload_declares_and_all_others() {
    let engine = engine(&named_policy(
        "p",
        "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {}}], ports: [{port: http}]}]}",
    ));
    let matrix = engine.matrix();
    assert_eq!(matrix.workloads, ["x/a", "x/b", "x/c", "y/a", "y/b", "y/c"]);
    assert_eq!(matrix.cells.len(), 30);
    let cell = |from: &str, to: &str| {
        let cell = matrix
            .cells
            .iter()
            .find(|cell| cell.from == from && cell.to == to);
        cell.map(|cell| cell.describe()).unwrap_or_default()
    };
    assert_eq!(cell("x/b", "x/a"), "TCP 801");
    assert_eq!(cell("y/b", "x/a"), "-");
    assert_eq!(cell("x/a", "y/b"), "all");
}
