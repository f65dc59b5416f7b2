//! What the ends of a connection are called.

use probe_policy::engine::{End, Engine};

/// The workload of a pod with its namespace, `shop/web`; the address of what is no pod.
pub fn name(engine: &Engine, end: End) -> String {
    workload(engine, end).unwrap_or_else(|| match end {
        End::Address(address) | End::Host(address) => address.to_canonical().to_string(),
        End::Pod(_) | End::PodAt(..) => String::new(),
    })
}

/// The workload of a pod with its namespace; `None` for what is no pod.
pub fn workload(engine: &Engine, end: End) -> Option<String> {
    let index = match end {
        End::Pod(index) | End::PodAt(index, _) => Some(index),
        End::Address(address) => engine.pod_at(address),
        End::Host(_) => None,
    };
    let pod = engine.cluster().pods.get(index? as usize)?;
    Some(format!("{}/{}", pod.namespace, pod.workload().name))
}
