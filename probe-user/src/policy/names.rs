//! What the ends of a connection are called.

use probe_policy::engine::{End, Engine};

/// The workload of a pod with its namespace, `shop/web`; the address of what is no pod.
pub(super) fn name(engine: &Engine, end: End) -> String {
    let pod = match end {
        End::Pod(index) | End::PodAt(index, _) => Some(index),
        End::Address(address) => engine.pod_at(address),
    };
    let pod = pod.and_then(|index| engine.cluster().pods.get(index as usize));
    match (pod, end) {
        (Some(pod), _) => format!("{}/{}", pod.namespace, pod.workload().name),
        (None, End::Address(address)) => address.to_canonical().to_string(),
        (None, End::Pod(_) | End::PodAt(..)) => String::new(),
    }
}
