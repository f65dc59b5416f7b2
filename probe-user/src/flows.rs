//! The flow log: one record for each flow and interval, and what is missing between them.
//!
//! Owns the form of the records, their order and the statement of what was lost. What flows there are, whose they are and
//! which of them are wanted is decided before; where the lines go is the business of a sink.

mod community_id;

pub use community_id::community_id;
