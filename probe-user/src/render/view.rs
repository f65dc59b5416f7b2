//! Plain data that can be shown, and its JSON form.
//!
//! Field names are the JSON schema of the one-shot tools. What is unknown is absent, never 0 or "".

mod audit;
mod dns;
mod flows;
mod histogram;
mod live;
mod owner;
mod report;
mod sched;
mod syscalls;
mod tcp;

use std::time::Duration;

use serde::Serializer;

pub use audit::AuditView;
pub use dns::{DnsView, LookupView};
pub use flows::{Direction, EndView, FlowView};
pub use histogram::{BucketView, HistogramView};
pub use live::{LiveHeader, LiveRow, LiveView, Preemptor, ProbeState};
pub use owner::{ContainerRef, ProcessRef};
pub use report::{By, Report, Row, Summary, lost_map};
pub use sched::{PreemptedBy, SchedOrder, SchedView};
pub use syscalls::{SyscallOrder, SyscallView};
pub use tcp::TcpView;

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
