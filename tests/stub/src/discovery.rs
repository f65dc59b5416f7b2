//! What the server says of itself: its version, its groups and their resources.

use serde_json::{Value, json};

use crate::{
    kinds::{KINDS, Kind, group_version},
    state::State,
    status::Status,
};

pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "30",
        "gitVersion": "v1.30.0",
        "gitTreeState": "clean",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

pub(crate) fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"]})
}

/// All groups that have something on.
pub(crate) fn groups(state: &State) -> Value {
    let mut names: Vec<_> = KINDS.iter().map(|kind| kind.group).collect();
    names.dedup();
    let groups: Vec<_> = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .filter_map(|name| describe(state, name))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// One group.
///
/// # Errors
///
/// If nothing of it is on.
pub(crate) fn group(state: &State, name: &str) -> Result<Value, Status> {
    let mut group = describe(state, name).ok_or_else(Status::no_such_path)?;
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Ok(group)
}

/// The resources of a version.
///
/// # Errors
///
/// If none is on.
pub(crate) fn resources(state: &State, version: &str) -> Result<Value, Status> {
    let resources: Vec<_> = on(state)
        .filter(|(kind, known)| kind.api_version(known) == version)
        .map(|(kind, _version)| describe_kind(kind))
        .collect();
    if resources.is_empty() {
        return Err(Status::no_such_path());
    }
    Ok(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": resources,
    }))
}

fn describe(state: &State, name: &str) -> Option<Value> {
    let mut versions: Vec<_> = on(state)
        .filter(|(kind, _version)| kind.group == name)
        .map(|(_kind, version)| version)
        .collect();
    versions.sort_by_key(|version| (version.contains("beta"), version.contains("alpha")));
    versions.dedup();
    let versions: Vec<_> = versions
        .into_iter()
        .map(|version| json!({"groupVersion": group_version(name, version), "version": version}))
        .collect();
    let preferred = versions.first()?;
    Some(json!({"name": name, "versions": versions, "preferredVersion": preferred}))
}

fn describe_kind(kind: &Kind) -> Value {
    let verbs: &[_] = if kind.writable {
        &["create", "get", "list", "patch", "update", "watch"]
    } else {
        &["get", "list", "watch"]
    };
    json!({
        "name": kind.plural,
        "singularName": kind.kind.to_lowercase(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs,
    })
}

/// Kinds and versions that are on.
fn on(state: &State) -> impl Iterator<Item = (&'static Kind, &'static str)> {
    KINDS
        .iter()
        .flat_map(|kind| kind.versions.iter().map(move |version| (kind, *version)))
        .filter(|(kind, version)| {
            state.is_on(&format!("{}/{}", kind.api_version(version), kind.plural))
        })
}
