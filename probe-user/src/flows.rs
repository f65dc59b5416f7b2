//! What is said of flows in user space: names of addresses, look-ups of names.
//!
//! Owns the tables that join kernel records. Does no input or output, and asks no clock: times come with the records.

mod dns;
mod names;

pub use dns::{
    Answers, LookupCounts, Lookups, Message, QUESTIONS, Question, TIMEOUT, Unreadable, kind_name,
    rcode_name,
};
pub use names::{KEPT, LONGEST, NAMES, NameCounts, Names};
