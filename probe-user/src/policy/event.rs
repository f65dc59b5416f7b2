//! What an audit event has besides the flow.

use probe_policy::audit::Report;
use serde::Serialize;

use super::{Audit, How, Side};

/// Fields of an audit event that are not those of a flow record.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AuditEvent<'a> {
    /// The end that this host has.
    pub reporter: Side,
    /// Who began.
    pub initiator: Initiator,
    /// What policies have to do with it.
    #[serde(flatten)]
    pub policy: Report<'a>,
}

/// Who began a connection. A flow's source is who began it, as far as is known.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Initiator {
    /// Which end.
    pub side: Side,
    /// How that is known.
    pub how: How,
}

impl Audit<'_> {
    /// As it is written.
    pub fn event(&self) -> AuditEvent<'_> {
        AuditEvent {
            reporter: self.reporter,
            initiator: Initiator {
                side: Side::Src,
                how: self.how,
            },
            policy: self.judged.report(self.now),
        }
    }
}
