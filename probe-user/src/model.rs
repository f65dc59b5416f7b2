//! Decoded facts that modules hand to one another. No I/O.

mod container;
mod departed;
mod drops;
mod flow;
mod health;
mod idle_capacity;
mod loss;
mod measurement;
mod network;
mod since;
mod syscall;
mod tcp_flags;

pub use container::{Container, Naming, NoName, Runtime, unique_name};
pub use departed::Departed;
pub use drops::{DroppedPackets, Drops};
pub use flow::{
    Counters, EndReason, Flow, FlowEnd, FlowProcess, Initiator, Lookup, LookupEvent, TcpFacts,
    Transport, Tuple,
};
pub use health::{FeatureState, LostCount, MapFill, ProbeHealth, ProgramStats};
pub use idle_capacity::IdleCapacity;
pub use loss::{LOSS_REASONS, LossReason};
pub use measurement::{
    ErrnoRow, Measurements, OwnerId, OwnerKind, PreemptionRow, ProcessInfo, RunningRow, SchedRow,
    SyscallRow,
};
pub use network::{
    AnswerRow, DropRow, Fates, FreedRow, ListenDropRow, LookupRow, TcpRow, UntrackedRow, add_totals,
};
pub use syscall::{Syscall, errno_name};
pub use tcp_flags::{FlagSet, TcpFlags};
