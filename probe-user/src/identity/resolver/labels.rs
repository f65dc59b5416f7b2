//! The labels by which the kubelet marks its containers in every runtime.

use std::{collections::HashMap, hash::BuildHasher};

use crate::{identity::Names, model::Runtime};

/// Container name that the kubelet gives the sandbox in dockerd.
const DOCKER_SANDBOX: &str = "POD";

/// Names from the labels, if they name a pod. `fallback` is used where they name no container.
pub(super) fn kubernetes<S: BuildHasher>(
    labels: &HashMap<String, String, S>,
    fallback: &str,
) -> Option<Names> {
    let get = |key: &str| {
        labels
            .get(&format!("io.kubernetes.{key}"))
            .filter(|v| !v.is_empty())
    };
    let container = get("container.name").map_or(fallback, String::as_str);
    let is_sandbox = container == DOCKER_SANDBOX
        || labels
            .get("io.cri-containerd.kind")
            .is_some_and(|kind| kind == "sandbox");
    Some(Names {
        runtime: Runtime::Kubernetes,
        namespace: get("pod.namespace")?.clone(),
        pod: get("pod.name")?.clone(),
        pod_uid: get("pod.uid").cloned().unwrap_or_default(),
        name: if is_sandbox { Names::PAUSE } else { container }.to_owned(),
    })
}
