//! One direction of a connection.

use std::{collections::BTreeMap, time::Duration};

use probe_common::dns::{MessageHeader, SENT};

use super::Brought;

/// Bytes of a header, RFC 1035 section 4.1.1.
const HEADER: usize = 12;
/// Bytes of a message that are kept: more than its question and some hundred addresses.
const KEPT: usize = 16_384;
/// Segments that wait for one before them.
const LATER: usize = 64;
/// Bytes of these.
const LATER_BYTES: usize = 256 << 10;
/// The largest distance of two sequence numbers that makes sense: the largest window of TCP (RFC 7323, section 2.3).
const WINDOW: i32 = 1 << 30;

/// A part of the stream.
pub(super) struct Segment<'a> {
    pub(super) sequence: u32,
    /// What was captured of it.
    pub(super) bytes: &'a [u8],
    /// Bytes that it has on the wire.
    pub(super) length: usize,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::flows::dns) struct Framed {
    /// Its bytes, up to where they are known.
    pub(in crate::flows::dns) bytes: Vec<u8>,
    /// Bytes that it has on the wire.
    pub(in crate::flows::dns) length: u16,
}

#[derive(Debug)]
enum State {
    /// Before a message, with the first byte of its length if that is there.
    Between(Option<u8>),
    Message {
        framed: Framed,
        /// Bytes of it that have passed.
        passed: usize,
        /// Whether one that is not known precedes what is kept.
        has_hole: bool,
    },
    /// Where the next message begins is not known.
    Lost,
}

#[derive(Debug)]
pub(super) struct Stream {
    /// Of its first segment.
    header: MessageHeader,
    /// Sequence number of the byte that comes next.
    next: u32,
    state: State,
    /// Nothing has shown yet that a message begins where one is thought to.
    is_guess: bool,
    /// Segments behind a gap, with how much they had on the wire, by how far their sequence number is from zero.
    later: BTreeMap<u32, (Vec<u8>, usize)>,
    later_bytes: usize,
    /// When the first of these came.
    waits_since: Option<Duration>,
    used: Duration,
    is_closed: bool,
}

impl Stream {
    /// One whose first known segment is this. A connection may have been there before, so that its beginning is a guess.
    pub(super) fn new(header: &MessageHeader) -> Self {
        Self {
            header: *header,
            next: header.sequence,
            state: State::Between(None),
            is_guess: true,
            later: BTreeMap::new(),
            later_bytes: 0,
            waits_since: None,
            used: Duration::ZERO,
            is_closed: false,
        }
    }

    /// The header of its first segment: whose it is, and between whom.
    pub(super) fn header(&self) -> &MessageHeader {
        &self.header
    }

    pub(super) fn used(&self) -> Duration {
        self.used
    }

    pub(super) fn waits_since(&self) -> Option<Duration> {
        self.waits_since
    }

    /// The last segment has come.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        self.is_closed && self.later.is_empty()
    }

    pub(super) fn take(&mut self, segment: &Segment<'_>, now: Duration, into: &mut Brought) {
        self.used = now;
        let ahead = segment.sequence.wrapping_sub(self.next).cast_signed();
        if ahead.abs() > WINDOW || matches!(self.state, State::Lost) && ahead != 0 {
            self.begin_at(segment.sequence);
            self.feed(segment, into);
        } else if ahead <= 0 {
            if matches!(self.state, State::Lost) {
                self.begin_at(segment.sequence);
            }
            self.feed(segment, into);
        } else {
            self.put_aside(segment, now, into);
        }
        self.go_on(now, into);
    }

    /// Takes the segments behind a gap, which stays one.
    pub(super) fn skip_gap(&mut self, now: Duration, into: &mut Brought) {
        let Some(first) = self.nearest() else {
            return;
        };
        let missing = first.wrapping_sub(self.next);
        self.next = first;
        into.has_gap = true;
        self.hole(missing as usize, into);
        if matches!(self.state, State::Lost) {
            self.begin_after(first);
        }
        self.go_on(now, into);
    }

    /// Thinks that a message begins here.
    fn begin_at(&mut self, sequence: u32) {
        self.next = sequence;
        self.state = State::Between(None);
        self.is_guess = true;
        self.later.clear();
        self.later_bytes = 0;
    }

    /// The sequence number of the segment behind the gap.
    fn nearest(&self) -> Option<u32> {
        let distance = |sequence: &u32| sequence.wrapping_sub(self.next);
        self.later.keys().copied().min_by_key(distance)
    }

    fn put_aside(&mut self, segment: &Segment<'_>, now: Duration, into: &mut Brought) {
        let known = self
            .later
            .get(&segment.sequence)
            .map_or(0, |(_, length)| *length);
        if known >= segment.length {
            return;
        }
        self.waits_since.get_or_insert(now);
        let more = segment.bytes.len();
        if let Some((old, _)) = self
            .later
            .insert(segment.sequence, (segment.bytes.to_vec(), segment.length))
        {
            self.later_bytes -= old.len();
        }
        self.later_bytes += more;
        if self.later.len() > LATER || self.later_bytes > LATER_BYTES {
            self.skip_gap(now, into);
        }
    }

    /// Takes what is no longer behind a gap.
    fn go_on(&mut self, now: Duration, into: &mut Brought) {
        while let Some(sequence) = self.nearest_reached() {
            if let Some((bytes, length)) = self.later.remove(&sequence) {
                self.later_bytes -= bytes.len();
                let segment = Segment {
                    sequence,
                    bytes: &bytes,
                    length,
                };
                if matches!(self.state, State::Lost) {
                    self.begin_after(sequence);
                }
                self.feed(&segment, into);
            }
        }
        self.waits_since = if self.later.is_empty() {
            None
        } else {
            self.waits_since.or(Some(now))
        };
    }

    /// Thinks that a message begins here, and keeps what comes later.
    fn begin_after(&mut self, sequence: u32) {
        self.next = sequence;
        self.state = State::Between(None);
        self.is_guess = true;
    }

    fn nearest_reached(&self) -> Option<u32> {
        let is_reached = |sequence: &u32| sequence.wrapping_sub(self.next).cast_signed() <= 0;
        self.later.keys().copied().find(is_reached)
    }

    /// Takes a segment that begins at the next byte or before it.
    fn feed(&mut self, segment: &Segment<'_>, into: &mut Brought) {
        let known = self.next.wrapping_sub(segment.sequence) as usize;
        if known >= segment.length {
            return;
        }
        self.next = segment.sequence.wrapping_add(segment.length as u32);
        let captured = segment.bytes.len().min(segment.length);
        if let Some(bytes) = segment.bytes.get(known..captured) {
            self.bytes(bytes, into);
        }
        let missing = segment.length - captured.max(known);
        if missing > 0 {
            self.hole(missing, into);
        }
    }

    fn bytes(&mut self, mut bytes: &[u8], into: &mut Brought) {
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Lost => return,
                State::Between(None) => {
                    self.state = State::Between(Some(*first));
                    bytes = rest;
                }
                State::Between(Some(high)) => {
                    let length = u16::from_be_bytes([*high, *first]);
                    bytes = rest;
                    self.begin_message(length, into);
                }
                State::Message {
                    framed,
                    passed,
                    has_hole,
                } => {
                    let take = bytes.len().min(usize::from(framed.length) - *passed);
                    let (own, rest) = bytes.split_at(take);
                    if !*has_hole {
                        let room = KEPT.saturating_sub(framed.bytes.len());
                        framed.bytes.extend(own.iter().take(room));
                    }
                    *passed += take;
                    bytes = rest;
                    self.end_message(into);
                }
            }
        }
    }

    /// Bytes that nobody has seen.
    fn hole(&mut self, mut missing: usize, into: &mut Brought) {
        if let State::Message {
            framed,
            passed,
            has_hole,
        } = &mut self.state
        {
            let own = missing.min(usize::from(framed.length) - *passed);
            *passed += own;
            *has_hole = true;
            missing -= own;
            self.end_message(into);
        }
        if missing > 0 {
            self.lose(into);
        }
    }

    fn lose(&mut self, into: &mut Brought) {
        self.state = State::Lost;
        into.has_gap = true;
    }

    fn begin_message(&mut self, length: u16, into: &mut Brought) {
        if usize::from(length) < HEADER {
            self.lose(into);
            return;
        }
        self.state = State::Message {
            framed: Framed {
                bytes: Vec::new(),
                length,
            },
            passed: 0,
            has_hole: false,
        };
    }

    /// Passes the message on if it has passed.
    fn end_message(&mut self, into: &mut Brought) {
        let State::Message { framed, passed, .. } = &mut self.state else {
            return;
        };
        if self.is_guess && framed.bytes.len() >= HEADER {
            if !is_plausible(&framed.bytes, self.header.flags & SENT != 0) {
                self.lose(into);
                return;
            }
            self.is_guess = false;
        }
        if *passed < usize::from(framed.length) {
            return;
        }
        into.messages.push(Framed {
            bytes: std::mem::take(&mut framed.bytes),
            length: framed.length,
        });
        self.state = State::Between(None);
    }
}

/// Whether this can be the beginning of a message of this direction: a question is no answer, a known kind of message, and about one
/// question (RFC 1035, section 4.1.1).
fn is_plausible(bytes: &[u8], is_sent: bool) -> bool {
    let &[_, _, flags, _, high, low, ..] = bytes else {
        return false;
    };
    let is_answer = flags & 0x80 != 0;
    let opcode = flags >> 3 & 0x0f;
    let questions = u16::from_be_bytes([high, low]);
    is_answer != is_sent && opcode <= 6 && questions <= 1
}
