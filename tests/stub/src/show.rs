//! Objects as clients see them.

use serde_json::{Value, json};

use crate::{kinds::Kind, route::Target, store::Stored};

/// An object by itself or in an event of a watch.
pub(crate) fn object(target: &Target, stored: &Stored) -> Value {
    let mut object = stored.object.clone();
    if !stored.raw {
        object["apiVersion"] = target.kind.api_version(target.version).into();
        object["kind"] = target.kind.kind.into();
    }
    object
}

/// An item of a list. Those of built-in kinds do not say what they are.
pub(crate) fn item(target: &Target, stored: &Stored) -> Value {
    let mut item = object(target, stored);
    if !target.kind.custom
        && !stored.raw
        && let Value::Object(fields) = &mut item
    {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    item
}

/// A deleted object, with the version of its deletion.
pub(crate) fn deleted(target: &Target, stored: &Stored, version: u64) -> Value {
    let mut object = object(target, stored);
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.insert("resourceVersion".to_owned(), version.to_string().into());
    }
    object
}

/// What a bookmark carries.
pub(crate) fn bookmark(kind: &Kind, version: &str, at: u64) -> Value {
    json!({
        "kind": kind.kind,
        "apiVersion": kind.api_version(version),
        "metadata": {"resourceVersion": at.to_string(), "creationTimestamp": null},
    })
}
