//! Lists, whole and in pages.

use serde_json::{Value, json};

use crate::{
    query::{Match, Options},
    select::Scope,
    show,
    status::Status,
    store::{Key, Store},
};

/// Answers a list.
///
/// # Errors
///
/// If the version is compacted or still to come, or the continuation is none of ours.
pub(crate) fn list(store: &Store, scope: &Scope, options: &Options) -> Result<Value, Status> {
    let (version, start) = match &options.next {
        Some(next) => {
            let (version, key) = continuation(scope, next)?;
            if version < store.compacted() {
                return Err(Status::continue_expired());
            }
            (version, Some(key))
        }
        None => (version(store, options)?, None),
    };
    let mut items = Vec::new();
    let mut last = None;
    let mut remaining = 0_u64;
    for (key, stored) in store.at(scope.target.kind, version) {
        let seen = start.as_ref().is_some_and(|start| key <= *start);
        if seen || !scope.covers(&key) || !scope.selects(&key, &stored) {
            continue;
        }
        if options.limit.is_some_and(|limit| items.len() >= limit) {
            remaining += 1;
            continue;
        }
        items.push(show::item(&scope.target, &stored));
        last = Some(key);
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if let (1.., Some(last)) = (remaining, last) {
        metadata["continue"] = format!("{version}/{}/{}", last.namespace, last.name).into();
        // Servers do not count what they have yet to select from.
        if scope.fields.is_empty() {
            metadata["remainingItemCount"] = remaining.into();
        }
    }
    let kind = scope.target.kind;
    Ok(json!({
        "kind": format!("{}List", kind.kind),
        "apiVersion": kind.api_version(scope.target.version),
        "metadata": metadata,
        "items": items,
    }))
}

fn version(store: &Store, options: &Options) -> Result<u64, Status> {
    let current = store.version();
    match options.version {
        Some(asked) if asked > current => Err(Status::too_large(asked, current)),
        // Servers from before `resourceVersionMatch` and those of today: with a limit alone it is exact.
        Some(asked)
            if options.version_match == Some(Match::Exact)
                || (options.version_match.is_none() && options.limit.is_some()) =>
        {
            if asked < store.compacted() {
                return Err(Status::expired(asked, store.compacted()));
            }
            Ok(asked)
        }
        _ => Ok(current),
    }
}

fn continuation(scope: &Scope, text: &str) -> Result<(u64, Key), Status> {
    let read = || {
        let (version, rest) = text.split_once('/')?;
        let (namespace, name) = rest.split_once('/')?;
        let key = Key {
            kind: scope.target.kind.index(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Some((version.parse().ok()?, key))
    };
    read().ok_or_else(|| Status::bad_request("continue key is not valid"))
}
