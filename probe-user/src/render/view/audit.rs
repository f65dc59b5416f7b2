//! A row of `nodeprobe policy audit`.

use std::cmp::Ordering;

use serde::Serialize;

use super::Row;

/// Connections of which the same is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AuditView {
    /// Workload or address that began.
    pub from: String,
    /// Workload or address that was asked.
    pub to: String,
    /// Transport.
    pub transport: String,
    /// Port of the destination.
    pub port: u16,
    /// What policies say.
    pub verdict: String,
    /// What became of it.
    pub outcome: String,
    /// What both come to.
    pub assessment: String,
    /// What pending policies would change, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Policies that have a say, of the last of these connections.
    pub policies: Vec<String>,
    /// Connections. One that both ends have told of is one.
    pub connections: u64,
}

impl Row for AuditView {
    const TYPE: &'static str = "audit_summary";
}

impl AuditView {
    /// Compares two rows: gaps and breakages first, then those with more connections; names decide between equals.
    pub fn compare(a: &Self, b: &Self) -> Ordering {
        let key = |row: &Self| (row.from.clone(), row.to.clone(), row.port);
        (a.rank().cmp(&b.rank()))
            .then_with(|| b.connections.cmp(&a.connections))
            .then_with(|| key(a).cmp(&key(b)))
    }

    /// Whether policies and the network disagree.
    pub fn is_finding(&self) -> bool {
        self.rank() < 2
    }

    fn rank(&self) -> u8 {
        match self.assessment.as_str() {
            "gap" => 0,
            "breakage" => 1,
            _ => 2,
        }
    }
}
