//! What the probes of the network read from their maps: raw ids, counters since attach.

mod sums;

use probe_common::{hist::Histogram, tcp::Totals};

use super::{Counters, OwnerId};

pub(super) use sums::Sums;
pub use sums::add_totals;

/// What the connections of one owner come to.
#[derive(Clone, Debug, PartialEq)]
pub struct TcpRow {
    /// Whose sockets these are.
    pub owner: OwnerId,
    /// The counters, as the kernel side keeps them.
    pub totals: Totals,
}

/// Handshakes that listening sockets dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenDropRow {
    /// Whose sockets these are.
    pub owner: OwnerId,
    /// The port that they listen at.
    pub port: u16,
    /// How many.
    pub drops: u64,
}

/// Packets that were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropRow {
    /// Whose socket they were for or from, where they had one.
    pub owner: Option<OwnerId>,
    /// The kernel's own reason in lower case.
    pub reason: String,
    /// How many, as they are on the wire: a buffer with several segments is as many packets.
    pub packets: u64,
}

/// Packets that the kernel was done with and freed as it frees dropped ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreedRow {
    /// The kernel's own reason in lower case.
    pub reason: String,
    /// How many.
    pub packets: u64,
}

/// Answers to name look-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// Who asked.
    pub owner: OwnerId,
    /// Response code of the message's header.
    pub rcode: u8,
    /// How many.
    pub count: u64,
}

/// Durations of name look-ups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupRow {
    /// Who asked.
    pub owner: OwnerId,
    /// From the question to its answer.
    pub latency: Histogram,
}

/// What found no room in the table of flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntrackedRow {
    /// Whose sockets these are.
    pub owner: OwnerId,
    /// What they exchanged.
    pub counters: Counters,
}

/// What was seen, by what became of it: packets of datagrams, or connections that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Packets counted in a flow, or for a container alone; connections whose end was told or found no room in the ring.
    pub counted: u64,
    /// Left out by sampling.
    pub unsampled: u64,
    /// Left out by a rule.
    pub ignored: u64,
    /// Packets with headers that make no sense.
    pub malformed: u64,
}

impl Fates {
    /// All of it.
    pub fn all(self) -> u64 {
        self.counted + self.left_out() + self.malformed
    }

    /// What was left out on purpose.
    pub fn left_out(self) -> u64 {
        self.unsampled + self.ignored
    }

    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            counted: self.counted.saturating_sub(earlier.counted),
            unsampled: self.unsampled.saturating_sub(earlier.unsampled),
            ignored: self.ignored.saturating_sub(earlier.ignored),
            malformed: self.malformed.saturating_sub(earlier.malformed),
        }
    }
}
