//! What is said of a connection that was seen: its verdict beside what became of it.
//!
//! Policies change while connections go on, and a change takes a while to be enforced. [`Policies`] remembers what was in force
//! before, and [`Snapshot`]s judge a connection by what was in force when it began.

mod change;
mod judge;
mod outcome;
mod policies;
mod report;

pub use self::{
    change::{Change, PENDING, pending, with_proposed},
    judge::{Judged, Seen},
    outcome::{Assessment, Outcome},
    policies::{Policies, Snapshot},
    report::{Combined, Report, RuleHit},
};
