//! From measurements by raw owner to rows by container or process, for the one-shot tools.

mod filter;
mod live;
mod owner;
mod sched;
mod syscalls;

pub use filter::Filter;
pub use live::Rates;
pub use sched::sched_rows;
pub use syscalls::syscall_rows;
