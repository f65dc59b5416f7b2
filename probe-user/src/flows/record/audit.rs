//! An audit event: a flow, and what policies have to do with it.

use serde::Serialize;

use super::{ByName, Envelope, FlowRecord, Observed};

/// All that the record of a flow has, with a type and schema of its own, and then the fields about policies.
#[derive(Debug, Serialize)]
pub(in crate::flows) struct AuditRecord<'a, P> {
    #[serde(flatten)]
    flow: FlowRecord<'a>,
    #[serde(flatten)]
    policy: &'a P,
}

impl<'a, P: Serialize> AuditRecord<'a, P> {
    pub(in crate::flows) fn new(
        envelope: &Envelope<'a>,
        observed: &Observed<'a>,
        policy: &'a P,
    ) -> Self {
        let flow = FlowRecord::new(envelope, observed, None, ByName::new());
        Self {
            flow: FlowRecord {
                r#type: "audit".into(),
                schema: "nodeprobe.audit/1.0".into(),
                ..flow
            },
            policy,
        }
    }
}
