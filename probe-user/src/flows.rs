//! The flow log: one record for each flow and interval, and what is missing between them.
//!
//! Owns the form of the records, their order and the statement of what was lost. What flows there are, whose they are and
//! which of them are wanted is decided before; where the lines go is the business of a sink.

mod clock;
mod community_id;
mod field;
mod line;
mod log;
mod read;
mod record;

pub use self::{
    clock::WallClock,
    community_id::community_id,
    field::{Id, Time},
    log::{FlowCounts, FlowLog},
    read::{Fault, Reader, Record},
    record::{
        Balance, BalanceRecord, ByName, Event, FlowRecord, Gap, GapRecord, Loss, LossRecord,
        Observed, Origin, Owner, Sureness,
    },
};
