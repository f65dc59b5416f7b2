//! Which objects a list or a watch shows.

use serde_json::Value;

use crate::{
    kinds::Kind,
    route::Target,
    status::Status,
    store::{Key, Stored},
};

/// A field selector: terms that all must hold.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<Term>);

#[derive(Debug)]
struct Term {
    path: String,
    value: String,
    equal: bool,
}

impl Fields {
    /// # Errors
    ///
    /// If it asks for a field that the kind cannot be selected by.
    pub(crate) fn new(kind: &Kind, text: &str) -> Result<Self, Status> {
        text.split(',')
            .filter(|term| !term.is_empty())
            .map(|term| Term::new(kind, term))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// There are no terms.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Term {
    fn new(kind: &Kind, text: &str) -> Result<Self, Status> {
        let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = text.split_once("==") {
            (path, value, true)
        } else if let Some((path, value)) = text.split_once('=') {
            (path, value, true)
        } else {
            let message = format!("invalid field selector: '{text}'; can't understand it");
            return Err(Status::bad_request(message));
        };
        let known = matches!(path, "metadata.name" | "metadata.namespace");
        if !known && !kind.fields.contains(&path) {
            let message = format!("field label not supported: {path}");
            return Err(Status::bad_request(message));
        }
        Ok(Self {
            path: path.to_owned(),
            value: value.to_owned(),
            equal,
        })
    }

    fn holds(&self, key: &Key, object: &Value) -> bool {
        let found = match self.path.as_str() {
            "metadata.name" => &key.name,
            "metadata.namespace" => &key.namespace,
            path => path
                .split('.')
                .try_fold(object, |value, word| value.get(word))
                .and_then(Value::as_str)
                .unwrap_or_default(),
        };
        (found == self.value) == self.equal
    }
}

/// What a list or a watch is about.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) target: Target,
    pub(crate) fields: Fields,
}

impl Scope {
    /// The object is of the kind and in the namespace.
    pub(crate) fn covers(&self, key: &Key) -> bool {
        let namespace = self.target.namespace.as_ref();
        key.kind == self.target.kind.index()
            && namespace.is_none_or(|namespace| *namespace == key.namespace)
    }

    /// An object that it [covers](Self::covers) is selected.
    pub(crate) fn selects(&self, key: &Key, stored: &Stored) -> bool {
        self.fields
            .0
            .iter()
            .all(|term| term.holds(key, &stored.object))
    }
}
