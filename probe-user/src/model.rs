//! Decoded facts that modules hand to one another. No I/O.

mod container;
mod departed;
mod health;
mod measurement;
mod since;
mod syscall;

pub use container::{Container, Naming, Runtime};
pub use departed::Departed;
pub use health::{FeatureState, LostCount, MapFill, ProbeHealth, ProgramStats};
pub use measurement::{
    ErrnoRow, Measurements, OwnerId, OwnerKind, PreemptionRow, ProcessInfo, RunningRow, SchedRow,
    SyscallRow,
};
pub use syscall::{Syscall, errno_name};
