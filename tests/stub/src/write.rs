//! Objects that clients write: events.

use serde_json::{Map, Value};

use crate::{route::Target, show, state::State, status::Status, store::Key};

/// How an object is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Write {
    /// `POST`
    Create,
    /// `PUT`
    Replace,
    /// `PATCH` of an object that is there.
    Merge,
    /// `PATCH` that creates what is not there.
    Apply,
}

impl Write {
    /// By the method and the type of the body.
    ///
    /// # Errors
    ///
    /// If the patch is none that can be merged.
    pub(crate) fn new(method: &str, media: &str) -> Result<Self, Status> {
        let media = media.split(';').next().unwrap_or_default().trim();
        match (method, media) {
            ("POST", _) => Ok(Self::Create),
            ("PUT", _) => Ok(Self::Replace),
            ("PATCH", "application/apply-patch+yaml") => Ok(Self::Apply),
            (
                "PATCH",
                "application/merge-patch+json" | "application/strategic-merge-patch+json",
            ) => Ok(Self::Merge),
            ("PATCH", other) => Err(Status::media_type(other)),
            _ => Err(Status::method_not_allowed()),
        }
    }

    /// As messages name it.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "update",
            Self::Merge | Self::Apply => "patch",
        }
    }
}

/// Writes and returns the status code and the object as it is then.
///
/// # Errors
///
/// If the object has no name, is there already or is not there.
pub(crate) fn write(
    state: &mut State,
    target: &Target,
    write: Write,
    body: Value,
) -> Result<(u16, Value), Status> {
    if !body.is_object() || !body.get("metadata").is_none_or(Value::is_object) {
        return Err(Status::bad_request("the body of the request is no object"));
    }
    let name = match (write, &target.name) {
        (Write::Create, None) => new_name(state, &body)
            .ok_or_else(|| Status::bad_request("name or generateName is required"))?,
        (Write::Create, Some(_)) | (_, None) => return Err(Status::method_not_allowed()),
        (_, Some(name)) => name.clone(),
    };
    let Some(namespace) = &target.namespace else {
        return Err(Status::method_not_allowed());
    };
    let key = Key {
        kind: target.kind.index(),
        namespace: namespace.clone(),
        name,
    };
    let before = state.store.get(&key).map(|stored| stored.object.clone());
    let code = if before.is_some() { 200 } else { 201 };
    let mut object = match (write, before) {
        (Write::Create, Some(_)) => return Err(Status::exists(target, &key.name)),
        (Write::Replace | Write::Merge, None) => {
            return Err(Status::no_such_object(target, &key.name));
        }
        (Write::Merge | Write::Apply, Some(mut object)) => {
            merge(&mut object, body);
            object
        }
        (Write::Create | Write::Apply, None) | (Write::Replace, Some(_)) => body,
    };
    object["metadata"]["name"] = key.name.as_str().into();
    object["metadata"]["namespace"] = key.namespace.as_str().into();
    state.store.put(target.kind, key.clone(), object);
    let stored = state
        .store
        .get(&key)
        .ok_or_else(|| Status::no_such_object(target, &key.name))?;
    Ok((code, show::object(target, stored)))
}

fn new_name(state: &State, body: &Value) -> Option<String> {
    let metadata = body.get("metadata")?;
    let text = |field| {
        metadata
            .get(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    match text("name") {
        Some(name) => Some(name.to_owned()),
        None => text("generateName").map(|prefix| format!("{prefix}{:05}", state.store.version())),
    }
}

/// RFC 7396.
fn merge(object: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *object = patch;
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    for (name, value) in patch {
        if !value.is_null() {
            merge(&mut object[name], value);
        } else if let Value::Object(fields) = object {
            fields.remove(&name);
        }
    }
}
