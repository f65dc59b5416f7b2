//! What is said of flows in user space: look-ups of names.
//!
//! Does no input or output, and asks no clock: times come with the records.

mod dns;

pub use dns::{
    Answers, LookupCounts, Lookups, Message, QUESTIONS, Question, TIMEOUT, Unreadable, kind_name,
    rcode_name,
};
