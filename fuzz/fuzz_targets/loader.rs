//! Any text as manifests: loaded, checked and asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probe_policy::{
    audit,
    engine::{Connection, End, Engine, Options},
    load::Loader,
    model::Protocol,
};

/// Pods that are asked about.
const PODS: usize = 4;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut loader = Loader::default();
    loader.add("fuzz.yaml", &text);
    let mut cluster = loader.finish().cluster;
    _ = audit::pending(&mut cluster);
    let engine = Engine::new(cluster, Options::default());
    _ = engine.check();
    let pods = (0..).zip(&engine.cluster().pods).take(PODS);
    let mut ends: Vec<_> = pods.map(|(index, _)| End::Pod(index)).collect();
    ends.push(End::Address([192, 0, 2, 1].into()));
    for from in &ends {
        for to in &ends {
            let connection = Connection {
                from: *from,
                to: *to,
                protocol: Protocol::Tcp,
                port: 80,
            };
            let verdict = engine.judge(&connection);
            _ = engine.entries(&verdict);
        }
    }
});
