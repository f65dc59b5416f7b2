//! A question, and its answer in JSON.

use probe_policy::{
    engine::{Connection, End, Engine},
    model::Protocol,
    report::Entry,
    verdict::{Caveat, Reason, Side, Verdict, Word},
};
use serde::{Deserialize, Serialize};

use crate::render::view::Row;

/// A connection as people name it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// `namespace/name` of a pod or workload, or an address.
    pub(super) from: String,
    /// The same.
    pub(super) to: String,
    /// Port of the destination.
    #[serde(default)]
    pub(super) port: u16,
    /// TCP where it is not said.
    #[serde(default = "tcp")]
    pub(super) protocol: Protocol,
}

fn tcp() -> Protocol {
    Protocol::Tcp
}

impl Question {
    /// The connection that is meant.
    ///
    /// # Errors
    ///
    /// Which end is not known.
    pub(super) fn connection(&self, engine: &Engine) -> Result<Connection, String> {
        Ok(Connection {
            from: end(engine, &self.from)?,
            to: end(engine, &self.to)?,
            protocol: self.protocol,
            port: self.port,
        })
    }
}

fn end(engine: &Engine, name: &str) -> Result<End, String> {
    if let Ok(address) = name.parse() {
        return Ok(End::Address(address));
    }
    let Some((namespace, pod)) = name.split_once('/') else {
        return Err(format!("`{name}` is neither an address nor NAMESPACE/NAME"));
    };
    let index = engine.find(namespace, pod);
    index
        .map(End::Pod)
        .ok_or_else(|| format!("`{name}` is no pod and no workload of the manifests"))
}

/// What policies say, in JSON.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Answer<'a> {
    #[serde(flatten)]
    pub(super) question: &'a Question,
    /// Verdict of the policies of the destination.
    pub(super) ingress: Word,
    /// Why, where the verdict has a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ingress_reason: Option<Reason>,
    /// Verdict of the policies of the source.
    pub(super) egress: Word,
    /// Why, where the verdict has a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) egress_reason: Option<Reason>,
    /// Verdict of both directions.
    pub(super) combined: Word,
    /// Why, where the verdict has a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) combined_reason: Option<Reason>,
    /// The policies that decide.
    pub(super) policies: Vec<Entry<'a>>,
    /// What does not affect the verdict and may affect the network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) caveats: Vec<Caveat>,
}

impl Row for Answer<'_> {
    const TYPE: &'static str = "policy_explain";
}

impl<'a> Answer<'a> {
    pub(super) fn new(engine: &'a Engine, question: &'a Question, verdict: &Verdict) -> Self {
        Self {
            question,
            ingress: verdict.ingress.word,
            ingress_reason: verdict.ingress.reason,
            egress: verdict.egress.word,
            egress_reason: verdict.egress.reason,
            combined: verdict.combined,
            combined_reason: verdict.reason,
            policies: engine.entries(verdict),
            caveats: caveats(&verdict.egress, &verdict.ingress),
        }
    }
}

/// Those of both directions, each once.
pub(super) fn caveats(one: &Side, other: &Side) -> Vec<Caveat> {
    let mut all: Vec<_> = one.caveats.iter().chain(&other.caveats).copied().collect();
    all.sort();
    all.dedup();
    all
}
