//! The part of docker's answers that is used.

use std::collections::HashMap;

use serde::Deserialize;

use crate::identity::resolver::error::SourceError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspect {
    pub(super) name: String,
    #[serde(default)]
    pub(super) config: InspectConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct InspectConfig {
    pub(super) labels: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: String,
    #[serde(default)]
    pub(super) names: Vec<String>,
    pub(super) labels: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Event {
    pub(super) actor: Actor,
}

#[derive(Deserialize)]
pub(super) struct Actor {
    #[serde(rename = "ID")]
    pub(super) id: String,
    /// The labels, and the name beside them.
    #[serde(rename = "Attributes", default)]
    pub(super) attributes: HashMap<String, String>,
}

pub(super) fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, SourceError> {
    serde_json::from_slice(json).map_err(|error| SourceError::Protocol(error.to_string()))
}
