//! Policies on a running host: which manifests are in force, which pod a container is, and what each connection's verdict and
//! outcome come to.
//!
//! What policies mean is the business of the crate `probe-policy`, which does no I/O. This reads files or asks an API server,
//! follows changes and remembers which connections were judged. It knows no metric and writes no log: who asks decides what becomes of the answers.

mod auditor;
mod cluster;
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
    cluster::{ClusterFollower, ClusterSources},
    event::{AuditEvent, Initiator},
    follow::{Change, FollowError, Follower, Sources},
    sums::{Sums, VerdictKey},
};
