//! Messages of TCP: segments put in order, and cut where messages begin.
//!
//! The kernel side sees segments before TCP has sorted them: they come twice, late, or not at all. Each message is preceded by two
//! bytes with its length (RFC 1035, section 4.2.2), which need not be where a segment begins.

mod stream;

use std::time::Duration;

use probe_common::{
    dns::{CLOSES, MessageHeader, SENT},
    share::may_take,
};
use rustc_hash::FxHashMap;

pub(super) use self::stream::Framed;
use self::stream::{Segment, Stream};
use crate::model::IdleCapacity as _;

/// Directions of connections that are followed at once.
const STREAMS: usize = 4096;
/// How long one is remembered after its last segment.
const IDLE: Duration = Duration::from_secs(30);
/// How long a missing segment is waited for: it is sent again after 200 ms and more.
const GAP: Duration = Duration::from_secs(2);

/// A direction of a connection: its socket, and whether the socket sends.
type Key = (u64, bool);

/// What a segment brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Brought {
    /// Messages that are whole now, in order.
    pub(super) messages: Vec<Framed>,
    /// Something before or in it cannot be read: messages may be missing.
    pub(super) has_gap: bool,
}

/// All connections.
pub(super) struct Streams {
    streams: FxHashMap<Key, Stream>,
    /// How many a cgroup has.
    shares: FxHashMap<u64, usize>,
    capacity: usize,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            streams: FxHashMap::default(),
            shares: FxHashMap::default(),
            capacity: STREAMS,
        }
    }

    /// Takes a segment. `None` if there is no room for another connection of this cgroup.
    pub(super) fn on_segment(&mut self, header: &MessageHeader, bytes: &[u8]) -> Option<Brought> {
        let is_sent = header.flags & SENT != 0;
        let key = (header.cookie, is_sent);
        let now = Duration::from_nanos(header.time_ns);
        if !self.streams.contains_key(&key) {
            if header.length == 0 {
                return Some(Brought::default());
            }
            if !self.admit(header.cgroup) {
                return None;
            }
            self.streams.insert(key, Stream::new(header));
        }
        let stream = self.streams.get_mut(&key)?;
        let mut brought = Brought::default();
        stream.take(
            &Segment {
                sequence: header.sequence,
                bytes,
                length: header.length.into(),
            },
            now,
            &mut brought,
        );
        if header.flags & CLOSES != 0 {
            stream.close();
        }
        if stream.is_over() {
            self.remove(&key);
        }
        Some(brought)
    }

    fn admit(&mut self, cgroup: u64) -> bool {
        let own = self.shares.get(&cgroup).copied().unwrap_or_default();
        let free = self.capacity.saturating_sub(self.streams.len());
        let admitted = may_take(own as u64, 0, free as u64);
        if admitted {
            *self.shares.entry(cgroup).or_default() += 1;
        }
        admitted
    }

    fn remove(&mut self, key: &Key) {
        let Some(stream) = self.streams.remove(key) else {
            return;
        };
        if let Some(own) = self.shares.get_mut(&stream.header().cgroup) {
            *own -= 1;
            if *own == 0 {
                self.shares.remove(&stream.header().cgroup);
            }
        }
    }

    /// Gives up on segments that are missing for too long, and forgets idle connections. Answers what came behind a gap, with a
    /// header for it.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<(MessageHeader, Brought)> {
        let mut found = Vec::new();
        for stream in self.streams.values_mut() {
            if stream.waits_since().is_some_and(|since| since + GAP <= now) {
                let mut brought = Brought::default();
                stream.skip_gap(now, &mut brought);
                let header = MessageHeader {
                    time_ns: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
                    ..*stream.header()
                };
                found.push((header, brought));
            }
        }
        let over: Vec<Key> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.is_over() || stream.used() + IDLE <= now)
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.remove(&key);
        }
        self.streams.give_back();
        found
    }
}

#[cfg(test)]
mod tests;
