//! Look-ups: questions and answers paired.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use probe_common::{
    dns::{MessageHeader, OVER_TCP, PORT, Pending, PendingKey, SENT},
    hist::Histogram,
    id::CgroupId,
};
use rustc_hash::FxHashSet;

use super::{
    Answers, Message, Question, Unreadable, kind_name,
    questions::{Asked, Entered, Exchange, Questions},
    rcode_name,
    streams::{Brought, Streams},
};
use crate::{
    limits,
    model::{Lookup, LookupEvent},
};

/// A question that nobody answered for so long counts as not answered, unless something else is set.
pub const TIMEOUT: Duration = limits::DNS_TIMEOUT;
/// Questions that can wait at the same time: about 2 MiB with names of usual length, 10 MiB with the longest.
pub const QUESTIONS: usize = 8_192;
/// Name and type of a look-up whose question was not read.
const UNKNOWN: &str = "~unknown";

/// Pairs questions with answers and says what was looked up.
///
/// Messages must come in the order of their times. Over UDP the kernel side says which questions nobody answered, because it sees
/// each answer; over TCP this does. A look-up whose answer comes after the time-out gives two events: one without an
/// answer, and one with it and its latency.
pub struct Lookups {
    questions: Questions,
    streams: Streams,
    timeout: Duration,
    counts: LookupCounts,
    over_tcp: OverTcp,
}

/// What became of the messages. `messages` is the sum of `served`, `decoded`, `other` and `unread`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LookupCounts {
    /// All messages.
    pub messages: u64,
    /// Those that are not of the asking side, where the same exchange is seen as well: not read further.
    pub served: u64,
    /// Those whose question was read, or, for an answer without one, found.
    pub decoded: u64,
    /// Those that are no look-up: zone transfers' notifications, updates, messages without a question.
    pub other: u64,
    /// Those whose header or question could not be read.
    pub unread: u64,
    /// Those that were not captured to their end. What is there was read.
    pub cut: u64,
    /// Those that break the rules at a place that was captured. What is before it was read.
    pub malformed: u64,
    /// Answers whose question was not seen, was forgotten or had been answered.
    pub unasked: u64,
    /// Questions that found no room: their answers are `unasked`.
    pub table_full: u64,
    /// Questions that gave a look-up without an answer.
    pub expired: u64,
    /// Questions of which is not known what became of them, because messages were lost.
    pub forgotten: u64,
    /// Places in connections of TCP behind which messages may be missing.
    pub gaps: u64,
    /// Segments of TCP of connections that found no room.
    pub streams_full: u64,
}

/// Look-ups over TCP, counted since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverTcp {
    /// Answers by asking cgroup and the response code of the header.
    pub answers: HashMap<(CgroupId, u8), u64>,
    /// From the question to its answer, by asking cgroup.
    pub latency: HashMap<CgroupId, Histogram>,
}

impl Lookups {
    /// Pairs with at most so many questions waiting; [`QUESTIONS`] is a good number. What nobody answers within `timeout` ends.
    pub fn new(capacity: usize, timeout: Duration) -> Self {
        Self {
            questions: Questions::new(capacity),
            streams: Streams::new(),
            timeout,
            counts: LookupCounts::default(),
            over_tcp: OverTcp::default(),
        }
    }

    /// What became of the messages until now.
    pub fn counts(&self) -> LookupCounts {
        self.counts
    }

    /// Look-ups over TCP, which the kernel side does not count.
    pub fn over_tcp(&self) -> &OverTcp {
        &self.over_tcp
    }

    /// Questions that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.questions.len()
    }

    /// Takes what was captured: a message, or a segment of TCP. `bytes` may go on behind the captured part.
    pub fn on_message(
        &mut self,
        header: &MessageHeader,
        bytes: &[u8],
        events: &mut Vec<LookupEvent>,
    ) {
        let bytes = &bytes[..bytes.len().min(header.captured.into())];
        if header.flags & OVER_TCP == 0 {
            self.on_whole(header, bytes, events);
            return;
        }
        match self.streams.on_segment(header, bytes) {
            Some(brought) => self.on_brought(header, brought, events),
            None => self.counts.streams_full += 1,
        }
    }

    /// Reads what a segment of TCP, or the end of waiting for one, has brought.
    fn on_brought(
        &mut self,
        header: &MessageHeader,
        brought: Brought,
        events: &mut Vec<LookupEvent>,
    ) {
        for message in brought.messages {
            let header = MessageHeader {
                length: message.length,
                captured: u16::try_from(message.bytes.len()).unwrap_or(u16::MAX),
                ..*header
            };
            self.on_whole(&header, &message.bytes, events);
        }
        if brought.has_gap {
            self.counts.gaps += 1;
            let cookie = header.cookie;
            self.forget(
                |exchange, asked| asked.over_tcp && exchange.cookie == cookie,
                events,
            );
        }
    }

    /// Gives up on questions of which nobody will know what became of them.
    fn forget(
        &mut self,
        is_meant: impl FnMut(&Exchange, &Asked) -> bool,
        events: &mut Vec<LookupEvent>,
    ) {
        let forgotten = self.questions.take_all(is_meant);
        self.counts.forgotten += forgotten.len() as u64;
        events.extend(
            forgotten
                .into_iter()
                .map(|(question, asked)| LookupEvent::Forgotten(unanswered(question, asked))),
        );
    }

    fn on_whole(&mut self, header: &MessageHeader, bytes: &[u8], events: &mut Vec<LookupEvent>) {
        self.counts.messages += 1;
        if header.remote_port != PORT {
            self.counts.served += 1;
            return;
        }
        let cut = bytes.len() < header.length.into();
        let read = Message::read(bytes);
        let fault = match &read {
            Ok(message) => message.fault,
            Err(error) => Some(*error),
        };
        match fault {
            Some(Unreadable::Ends) if cut => {}
            Some(_) => self.counts.malformed += 1,
            None => {}
        }
        self.counts.cut += u64::from(cut);
        match read {
            Ok(message) => self.on_read(header, message, events),
            Err(_) => self.counts.unread += 1,
        }
    }

    fn on_read(&mut self, header: &MessageHeader, message: Message, events: &mut Vec<LookupEvent>) {
        // The condition under which the kernel side counts: both ports may be 53.
        if message.is_answer == (header.flags & SENT != 0) {
            self.counts.served += 1;
            return;
        }
        let exchange = Exchange {
            cookie: header.cookie,
            id: message.id,
            local_port: header.local_port,
        };
        let question = message.question.clone();
        let (question, asked) = match question {
            _ if message.opcode != 0 => {
                self.counts.other += 1;
                return;
            }
            Some(question) if message.is_answer => {
                let asked = self.questions.answered(exchange, &question);
                (question, asked)
            }
            Some(question) => {
                self.counts.decoded += 1;
                self.on_question(header, exchange, question, events);
                return;
            }
            // Servers that did not understand the question may leave it out.
            None => match self.questions.only(exchange) {
                Some((question, asked)) if message.is_answer => (question, Some(asked)),
                _ => {
                    self.counts.other += 1;
                    return;
                }
            },
        };
        self.counts.decoded += 1;
        self.counts.unasked += u64::from(asked.is_none());
        let rcode = message.rcode;
        let lookup = answered(header, message, question, asked);
        if header.flags & OVER_TCP != 0 {
            self.count_over_tcp(&lookup, rcode);
        }
        events.push(LookupEvent::Ended(lookup));
    }

    fn on_question(
        &mut self,
        header: &MessageHeader,
        exchange: Exchange,
        question: Question,
        events: &mut Vec<LookupEvent>,
    ) {
        let asked = asked(header);
        match self
            .questions
            .ask(exchange, question.clone(), asked.clone())
        {
            Entered::New => events.push(LookupEvent::Asked(unanswered(question, asked))),
            Entered::Again => {}
            Entered::NoRoom => self.counts.table_full += 1,
        }
    }

    fn count_over_tcp(&mut self, lookup: &Lookup, rcode: u16) {
        let room = limits::SOCKET_OWNERS as usize;
        let cgroup = if self.over_tcp.latency.len() < room
            || self.over_tcp.latency.contains_key(&lookup.cgroup)
        {
            lookup.cgroup
        } else {
            CgroupId(0)
        };
        // The four bits of the header, as the kernel side counts them.
        let rcode = (rcode & 0x0f) as u8;
        *self.over_tcp.answers.entry((cgroup, rcode)).or_default() += 1;
        let latency = self.over_tcp.latency.entry(cgroup);
        let latency = latency.or_insert(Histogram::EMPTY);
        if let Some(took) = lookup.latency {
            latency.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1));
        }
    }

    /// Look-ups over TCP that nobody has answered in time, and what came behind segments that are missing for too long. Answers how
    /// many were not answered, by asking cgroup. To be called about once a second.
    pub fn expire(&mut self, now: Duration, events: &mut Vec<LookupEvent>) -> Vec<CgroupId> {
        for (header, brought) in self.streams.expire(now) {
            self.on_brought(&header, brought, events);
        }
        let Some(before) = now.checked_sub(self.timeout) else {
            return Vec::new();
        };
        let late = self
            .questions
            .take_all(|_, asked| asked.over_tcp && asked.at < before);
        self.counts.expired += late.len() as u64;
        let cgroups = late.iter().map(|(_, asked)| asked.cgroup).collect();
        events.extend(
            late.into_iter()
                .map(|(question, asked)| LookupEvent::Ended(unanswered(question, asked))),
        );
        cgroups
    }

    /// Look-ups over UDP that the kernel side has given up, because nobody answered. Those that it no longer waits for and that wait
    /// here were answered by messages that were lost.
    pub fn on_given_up(
        &mut self,
        given_up: &[(PendingKey, Pending)],
        now: Duration,
        events: &mut Vec<LookupEvent>,
    ) {
        self.counts.expired += given_up.len() as u64;
        let exchanges: FxHashSet<Exchange> = given_up.iter().map(|(key, _)| key.into()).collect();
        let mut known = FxHashSet::default();
        let ended = self.questions.take_all(|exchange, asked| {
            let is_meant = !asked.over_tcp && exchanges.contains(exchange);
            if is_meant {
                known.insert(*exchange);
            }
            is_meant
        });
        for (question, asked) in ended {
            events.push(LookupEvent::Ended(unanswered(question, asked)));
        }
        for (key, pending) in given_up {
            if !known.contains(&key.into()) {
                events.push(LookupEvent::Ended(unread(pending)));
            }
        }
        // The kernel side gives up first.
        if let Some(before) = now.checked_sub(2 * self.timeout) {
            self.forget(|_, asked| !asked.over_tcp && asked.at < before, events);
        }
    }
}

impl From<&PendingKey> for Exchange {
    fn from(key: &PendingKey) -> Self {
        Self {
            cookie: key.cookie,
            id: key.id,
            local_port: key.local_port,
        }
    }
}

fn asked(header: &MessageHeader) -> Asked {
    Asked {
        at: Duration::from_nanos(header.time_ns),
        cgroup: CgroupId(header.cgroup),
        server: server(header),
        over_tcp: header.flags & OVER_TCP != 0,
    }
}

fn answered(
    header: &MessageHeader,
    message: Message,
    question: Question,
    asked: Option<Asked>,
) -> Lookup {
    let time = Duration::from_nanos(header.time_ns);
    let latency = match header.latency_ns {
        0 => asked.as_ref().map(|asked| time.saturating_sub(asked.at)),
        latency_ns => Some(Duration::from_nanos(latency_ns)),
    };
    let was_asked = asked.is_some();
    let server = asked.map_or_else(|| server(header), |asked| asked.server);
    let Answers {
        addresses,
        aliases,
        ttl,
    } = message.answers;
    Lookup {
        cgroup: CgroupId(header.cgroup),
        time,
        server,
        over_tcp: header.flags & OVER_TCP != 0,
        name: question.name,
        kind: kind_name(question.kind),
        rcode: Some(rcode_name(message.rcode)),
        latency,
        addresses,
        aliases,
        ttl,
        asked: was_asked,
    }
}

fn unanswered(question: Question, asked: Asked) -> Lookup {
    Lookup {
        cgroup: asked.cgroup,
        time: asked.at,
        server: asked.server,
        over_tcp: asked.over_tcp,
        name: question.name,
        kind: kind_name(question.kind),
        rcode: None,
        latency: None,
        addresses: Vec::new(),
        aliases: Vec::new(),
        ttl: None,
        asked: true,
    }
}

/// A look-up that nobody answered, and whose question was not read.
fn unread(pending: &Pending) -> Lookup {
    Lookup {
        cgroup: CgroupId(pending.cgroup),
        time: Duration::from_nanos(pending.asked_ns),
        server: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        over_tcp: false,
        name: UNKNOWN.into(),
        kind: UNKNOWN.into(),
        rcode: None,
        latency: None,
        addresses: Vec::new(),
        aliases: Vec::new(),
        ttl: None,
        asked: false,
    }
}

/// The other side. Four bytes of IPv4 are followed by zeroes.
fn server(header: &MessageHeader) -> IpAddr {
    let [a, b, c, d, ..] = header.remote;
    match header.ip_version {
        4 => IpAddr::from([a, b, c, d]),
        _ => IpAddr::V6(Ipv6Addr::from(header.remote)),
    }
}

#[cfg(test)]
mod tests;
