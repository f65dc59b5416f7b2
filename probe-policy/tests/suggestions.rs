//! What is suggested, of any connections between any pods.

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::Loader,
    model::{Cluster, Protocol},
    suggest::Suggested,
    verdict::Word,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn label() -> impl Strategy<Value = String> {
    "[ab]"
}

fn pods() -> impl Strategy<Value = Vec<Value>> {
    let labels = || prop::collection::btree_map(label(), label(), 0..3);
    prop::collection::vec(("[xy]", labels()), 2..6).prop_map(|pods| {
        let pod = |(number, (namespace, labels))| {
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": namespace, "name": format!("pod{number}"), "labels": labels},
                "status": {"podIP": format!("10.0.{}.{}", number % 4, number + 1)},
            })
        };
        pods.into_iter().enumerate().map(pod).collect()
    })
}

fn cluster(files: &[&Value]) -> Cluster {
    let mut loader = Loader::default();
    for (number, file) in files.iter().enumerate() {
        loader.add(&format!("{number}.json"), &file.to_string());
    }
    loader.finish().cluster
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_suggested_allows_what_was_seen_and_nothing_that_labels_tell_apart(
        pods in pods(),
        talks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 79_u16..82), 1..6),
    ) {
        let bare = Engine::new(cluster(&pods.iter().collect::<Vec<_>>()), Options::default());
        // The last is something outside.
        let outside = End::Address("192.0.2.1".parse().unwrap());
        let mut ends: Vec<_> = (0..u32::try_from(bare.cluster().pods.len()).unwrap()).map(End::Pod).collect();
        ends.push(outside);
        let talk = |(from, to, port): &(prop::sample::Index, prop::sample::Index, u16)| Connection {
            from: ends[from.index(ends.len())],
            to: ends[to.index(ends.len())],
            protocol: Protocol::Tcp,
            port: *port,
        };
        let seen: Vec<_> = talks.iter().map(talk).collect();
        let observed = seen.iter().map(|connection| (*connection, 1)).collect();
        let yaml = Suggested::of(&bare, &observed).to_yaml();
        let mut loader = Loader::default();
        loader.add("suggested.yaml", &yaml);
        let loaded = loader.finish();
        prop_assert!(loaded.findings.is_empty(), "{:?} of {}", loaded.findings, yaml);
        let with = Cluster { policies: loaded.cluster.policies, ..bare.cluster().clone() };
        let engine = Engine::new(with, Options::default());
        for connection in &seen {
            prop_assert_eq!(engine.judge(connection).combined.allows(), Some(true), "{:?} {}", connection, yaml);
        }
        // As far as labels tell pods apart.
        let like = |end: End, seen: End| match (end, seen) {
            (End::Pod(end), End::Pod(seen)) => {
                let (end, seen) = (&bare.cluster().pods[end as usize], &bare.cluster().pods[seen as usize]);
                end.namespace == seen.namespace && seen.labels.iter().all(|(key, value)| end.labels.get(key) == Some(value))
            }
            (end, seen) => end == seen,
        };
        for from in &ends {
            for to in &ends {
                for port in 78..83 {
                    let connection = Connection { from: *from, to: *to, protocol: Protocol::Tcp, port };
                    let verdict = engine.judge(&connection);
                    let is_seen = seen.iter().any(|seen| {
                        like(*from, seen.from) && like(*to, seen.to) && port == seen.port
                    });
                    for side in [&verdict.egress, &verdict.ingress] {
                        prop_assert!(side.word != Word::Allowed || is_seen, "{connection:?} {yaml}");
                    }
                }
            }
        }
    }
}
