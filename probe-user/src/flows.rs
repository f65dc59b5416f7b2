//! Flows in user space: which there are, what they are called, and what is written of them.
//!
//! Owns the tables that join kernel records, the form of the flow log, its order and its statement of what was lost. Asks no
//! clock: times come with the records. Where the lines go is the business of a sink.

mod clock;
mod community_id;
pub mod convert;
mod datagrams;
mod dns;
mod ends;
mod field;
mod line;
mod log;
mod names;
mod read;
mod record;
mod table;

#[cfg(test)]
pub(crate) use self::convert::tests::{NOTHING, client, server};
pub use self::{
    clock::WallClock,
    community_id::community_id,
    datagrams::{Datagrams, Due},
    dns::{
        Answers, LookupCounts, Lookups, Message, OverTcp, QUESTIONS, Question, TIMEOUT, Unreadable,
        kind_name, rcode_name,
    },
    ends::{Ends, Peer},
    field::{Id, Time},
    log::{FlowCounts, FlowLog},
    names::{KEPT, LONGEST, NAMES, NameCounts, Names},
    read::{Fault, HubbleFlow, HubbleLine, Reader, Record},
    record::{
        Balance, BalanceRecord, ByName, Event, FlowRecord, Gap, GapRecord, Loss, LossRecord,
        Observed, Origin, Owner, PodName, Sureness, Surroundings, WorkloadName,
    },
    table::{Change, FlowTable},
};
