//! What all objects have: names, labels and annotations.

use super::read::{Context, Field};
use crate::model::{ANNOTATIONS, Labels, Owner};

/// `metadata` of an object.
pub(super) struct Meta {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) uid: Option<String>,
    pub(super) generation: Option<u64>,
    pub(super) owner: Option<Owner>,
}

impl Meta {
    /// Where the object has no namespace it is in this one.
    pub(super) fn read(context: &mut Context, field: &Field<'_>, namespace: &str) -> Option<Self> {
        let Some(meta) = field.object(context, "metadata") else {
            context.error("metadata", "is missing");
            return None;
        };
        let name = meta
            .text(context, "name")
            .or_else(|| meta.text(context, "generateName"));
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            context.error(&meta.at("name"), "is missing");
            return None;
        };
        Some(Self {
            namespace: meta
                .text(context, "namespace")
                .unwrap_or(namespace)
                .to_owned(),
            name: name.to_owned(),
            labels: super::labels::read(context, &meta, "labels"),
            annotations: annotations(&meta),
            uid: meta.text(context, "uid").map(str::to_owned),
            generation: meta
                .get("generation")
                .and_then(|field| field.value.as_u64()),
            owner: owner(context, &meta),
        })
    }
}

/// Annotations of `metadata` that are meant for nodeprobe, and labels with the same names, which count less. Others may be as large
/// as their authors like.
pub(super) fn annotations(meta: &Field<'_>) -> Labels {
    ["labels", "annotations"]
        .iter()
        .filter_map(|key| meta.get(key))
        .filter_map(|field| field.value.as_object())
        .flatten()
        .filter(|(key, _)| key.starts_with(ANNOTATIONS))
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The first owner, as most have one.
fn owner(context: &mut Context, meta: &Field<'_>) -> Option<Owner> {
    let owner = meta.items(context, "ownerReferences")?.into_iter().next()?;
    Some(Owner {
        kind: owner.text(context, "kind").unwrap_or("Pod").to_owned(),
        name: owner.text(context, "name")?.to_owned(),
    })
}
