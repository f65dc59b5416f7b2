//! Plain data that can be shown, and its JSON form.
//!
//! Field names are the JSON schema of the one-shot tools. What is unknown is absent, never 0 or "".

mod audit;
mod dns;
mod flows;
mod histogram;
mod live;
mod order;
mod owner;
mod report;
mod sched;
mod syscalls;
mod tcp;
mod units;

pub use audit::AuditView;
pub use dns::{DnsView, LookupView};
pub use flows::{Direction, EndView, FlowView};
pub use histogram::{BucketView, HistogramView};
pub use live::{LiveHeader, LiveRow, LiveView, Preemptor, ProbeState};
pub use order::{AuditOrder, DnsOrder, FlowOrder, TcpOrder};
pub use owner::{ContainerRef, ProcessRef};
pub use report::{By, Report, Row, Summary, lost_map};
pub use sched::{PreemptedBy, SchedOrder, SchedView};
pub use syscalls::{SyscallOrder, SyscallView};
pub use tcp::TcpView;
