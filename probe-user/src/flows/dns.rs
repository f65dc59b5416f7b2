//! Messages of the domain name system, as the kernel side captures them at port 53.
//!
//! Owns reading a message and pairing answers with questions. Look-ups over UDP and their durations are counted in the kernel; what
//! is made of them here is for records and names, and may lack what was lost on the way. Those over TCP are counted here.

mod answers;
mod lookups;
mod message;
mod questions;
#[cfg(test)]
mod samples;
mod streams;
mod text;

pub use answers::Answers;
pub use lookups::{LookupCounts, Lookups, OverTcp, QUESTIONS, TIMEOUT};
pub use message::{Message, Question, Unreadable};
pub use text::{kind_name, rcode_name};
