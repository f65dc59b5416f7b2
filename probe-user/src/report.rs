//! From measurements by raw owner to rows by container or process, for the one-shot tools.

mod filter;
mod live;
mod network;
mod owner;
mod sched;
mod syscalls;

pub use filter::Filter;
pub use live::Rates;
pub use network::{Counted, FlowBook, FlowRows, LookupBook, Seen, lookup_view, tcp_rows};
pub use sched::sched_rows;
pub use syscalls::syscall_rows;
