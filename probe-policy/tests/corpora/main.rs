//! Cases of other projects with known answers.
//!
//! They are kept beside the repository, in `../shared/corpora` or where `NODEPROBE_CORPORA` says, and skipped with a message where
//! they are not there.

use std::{env, fs, path::PathBuf};

use probe_policy::{
    engine::{Connection, End, Engine, Options},
    load::{Loader, Place},
    model::Protocol,
};
use serde_json::{Value, json};

mod cnp;
mod cyclonus;
mod explanations;
mod np_guard;

/// The folder of a corpus, or `None` after saying that it is not here.
fn corpus(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpora");
    let root =
        env::var_os("NODEPROBE_CORPORA").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    test_skip::skip(
        "corpora",
        &format!("{name}: no folder {}", folder.display()),
    );
    None
}

fn read(path: &std::path::Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn place(file: &str) -> Place {
    Place {
        file: file.to_owned(),
        document: 1,
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {value}"))
}

/// A pod, of the parts that corpora give.
fn pod(namespace: &str, name: &str, address: &str, labels: &Value, ports: Vec<Value>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "ports": ports}]},
        "status": {"podIP": address},
    })
}

fn namespace(name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// An engine of objects none of which is wrong.
fn engine(objects: &[Value]) -> Engine {
    let mut loader = Loader::default();
    objects
        .iter()
        .for_each(|object| loader.add_value(&place("corpus"), object));
    let loaded = loader.finish();
    let errors: Vec<_> = loaded
        .findings
        .iter()
        .map(ToString::to_string)
        .filter(|f| f.starts_with("error"))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    Engine::new(loaded.cluster, Options::default())
}

/// A pod by `namespace/name`.
fn end(engine: &Engine, name: &str) -> End {
    let (namespace, pod) = name.split_once('/').unwrap_or_else(|| panic!("{name}"));
    End::Pod(
        engine
            .find(namespace, pod)
            .unwrap_or_else(|| panic!("no pod {name}")),
    )
}

fn connection(engine: &Engine, record: &Value, names: [&str; 4]) -> Connection {
    let [from, to, protocol, port] = names;
    let protocol: Protocol = text(record, protocol).parse().expect("a protocol");
    Connection {
        from: end(engine, text(record, from)),
        to: end(engine, text(record, to)),
        protocol,
        port: record[port]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())
            .expect("a port"),
    }
}
