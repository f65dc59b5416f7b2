//! Messages of the domain name system, as the kernel side captures them at port 53.
//!
//! Owns reading a message and pairing answers with questions. Numbers of look-ups and their durations are counted in
//! the kernel; what is made here is for records and names, and may lack what was lost on the way.

mod answers;
mod lookups;
mod message;
mod questions;
#[cfg(test)]
mod samples;
mod text;

pub use answers::Answers;
pub use lookups::{LookupCounts, Lookups, QUESTIONS, TIMEOUT};
pub use message::{Message, Question, Unreadable};
pub use text::{kind_name, rcode_name};
