//! From measurements by raw owner to rows by container or process, for the one-shot tools.

mod awaiting;
mod filter;
mod live;
mod network;
mod owner;
mod sched;
mod syscalls;
mod unmatched;

pub use awaiting::awaits_names;
pub use filter::Filter;
pub use live::Rates;
pub use network::{Counted, FlowBook, FlowRows, LookupBook, Seen, flow_row, lookup_view, tcp_rows};
pub use sched::sched_rows;
pub use syscalls::syscall_rows;
pub use unmatched::Unmatched;
