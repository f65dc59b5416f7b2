//! What the commands of `nodeprobe policy` print for programs.

use super::{answer::Answer, check::Found, queries::Unanswered, replay::show};
use crate::{
    cli::schema::{Document, document},
    render::view::AuditView,
};

/// All of it but the audit events, which are records of a log.
pub(in crate::cli) fn documents() -> Vec<Document> {
    vec![
        document::<Answer<'_>>("policy explain"),
        document::<Unanswered<'_>>("policy explain --queries"),
        document::<Found>("policy check"),
        document::<show::Whole<'_>>("policy replay -o json"),
        document::<show::Row<'_>>("policy replay -o ndjson"),
        document::<AuditView>("policy audit"),
    ]
}
