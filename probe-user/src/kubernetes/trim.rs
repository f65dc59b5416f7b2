//! Takes from objects what nobody here reads, before they are kept or looked at.

use kube::api::DynamicObject;
use serde_json::Value;

/// An object as JSON, without what is large and of no use.
pub(super) fn trimmed(mut object: DynamicObject) -> Option<Value> {
    object.metadata.managed_fields = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if object
        .types
        .as_ref()
        .is_some_and(|types| types.kind == "Pod")
    {
        trim_pod(&mut object.data);
    }
    serde_json::to_value(object).ok()
}

fn trim_pod(data: &mut Value) {
    if let Some(spec) = data.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|key, _| {
            matches!(
                key.as_str(),
                "nodeName"
                    | "hostNetwork"
                    | "containers"
                    | "initContainers"
                    | "ephemeralContainers"
            )
        });
        for (_, containers) in spec.iter_mut() {
            for container in containers.as_array_mut().into_iter().flatten() {
                if let Some(container) = container.as_object_mut() {
                    container.retain(|key, _| {
                        matches!(key.as_str(), "name" | "ports" | "restartPolicy")
                    });
                }
            }
        }
    }
    if let Some(status) = data.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("conditions");
    }
}
