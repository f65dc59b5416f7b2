//! Policies on a running host: which manifests are in force, which pod a container is, and what each connection's verdict and
//! outcome come to.
//!
//! What policies mean is the business of the crate `probe-policy`, which does no I/O. This reads files, follows their changes and
//! remembers which connections were judged. It knows no metric and writes no log: who asks decides what becomes of the answers.

mod auditor;
mod event;
mod follow;
pub mod manifests;
pub mod names;
mod outcome;
mod places;
mod residents;
mod sums;

pub use self::{
    auditor::{Audit, AuditSettings, Auditor, How, Owners, Side},
    event::{AuditEvent, Initiator},
    follow::{Change, FollowError, Follower, Sources},
    sums::{Sums, VerdictKey},
};
