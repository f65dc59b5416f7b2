//! Look-ups: questions and answers paired.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use probe_common::{
    dns::{MessageHeader, OVER_TCP, PORT, SENT},
    id::CgroupId,
};

use super::{
    Answers, Message, Question, Unreadable, kind_name,
    questions::{Asked, Exchange, Questions},
    rcode_name,
};
use crate::model::Lookup;

/// A question that nobody answered for so long counts as not answered. Most resolvers ask again then.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// Questions that can wait at the same time: about 2 MiB with names of usual length, 10 MiB with the longest.
pub const QUESTIONS: usize = 8_192;

/// Pairs questions with answers and says what was looked up.
///
/// Messages must come in the order of their times. A look-up whose answer comes after [`TIMEOUT`] gives two records:
/// one without an answer, and one with it and its latency.
pub struct Lookups {
    questions: Questions,
    counts: LookupCounts,
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
    /// Those that were not captured to their end, among them all over TCP that go on in another segment. What is there
    /// was read.
    pub cut: u64,
    /// Those that break the rules at a place that was captured. What is before it was read.
    pub malformed: u64,
    /// Answers whose question was not seen, was forgotten or had been answered.
    pub unasked: u64,
    /// Questions that found no room: their answers are `unasked`, and nobody notices if they have none.
    pub table_full: u64,
    /// Questions that gave a look-up without an answer.
    pub expired: u64,
    /// Questions that were given up by [`Lookups::on_lost_messages`].
    pub forgotten: u64,
}

impl Lookups {
    /// Pairs with at most so many questions waiting; [`QUESTIONS`] is a good number.
    pub fn new(capacity: usize) -> Self {
        Self {
            questions: Questions::new(capacity),
            counts: LookupCounts::default(),
        }
    }

    /// What became of the messages until now.
    pub fn counts(&self) -> LookupCounts {
        self.counts
    }

    /// Questions that wait for an answer.
    pub fn waiting(&self) -> usize {
        self.questions.len()
    }

    /// Takes a captured message: an answer gives a look-up. `bytes` may go on behind the captured part.
    pub fn on_message(&mut self, header: &MessageHeader, bytes: &[u8]) -> Option<Lookup> {
        self.counts.messages += 1;
        if header.remote_port != PORT {
            self.counts.served += 1;
            return None;
        }
        let bytes = &bytes[..bytes.len().min(header.captured.into())];
        let mut cut = bytes.len() < header.length.into();
        let read = Message::read(bytes);
        let fault = match &read {
            Ok(message) => message.fault,
            Err(error) => Some(*error),
        };
        match fault {
            Some(Unreadable::Ends) if cut || header.flags & OVER_TCP != 0 => cut = true,
            Some(_) => self.counts.malformed += 1,
            None => {}
        }
        self.counts.cut += u64::from(cut);
        match read {
            Ok(message) => self.on_read(header, message),
            Err(_) => {
                self.counts.unread += 1;
                None
            }
        }
    }

    fn on_read(&mut self, header: &MessageHeader, message: Message) -> Option<Lookup> {
        // The condition under which the kernel side counts: both ports may be 53.
        if message.is_answer == (header.flags & SENT != 0) {
            self.counts.served += 1;
            return None;
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
                return None;
            }
            Some(question) if message.is_answer => {
                let asked = self.questions.answered(exchange, &question);
                (question, asked)
            }
            Some(question) => {
                self.counts.decoded += 1;
                let room = self.questions.ask(exchange, question, asked(header));
                self.counts.table_full += u64::from(!room);
                return None;
            }
            // Servers that did not understand the question may leave it out.
            None => match self.questions.only(exchange) {
                Some((question, asked)) if message.is_answer => (question, Some(asked)),
                _ => {
                    self.counts.other += 1;
                    return None;
                }
            },
        };
        self.counts.decoded += 1;
        self.counts.unasked += u64::from(asked.is_none());
        Some(answered(header, message, question, asked))
    }

    /// Look-ups that nobody has answered for [`TIMEOUT`]. To be called about once a second.
    pub fn expire(&mut self, now: Duration) -> Vec<Lookup> {
        let Some(before) = now.checked_sub(TIMEOUT) else {
            return Vec::new();
        };
        let late = self.questions.asked_before(before);
        self.counts.expired += late.len() as u64;
        late.into_iter()
            .map(|(question, asked)| unanswered(question, asked))
            .collect()
    }

    /// Forgets the questions that wait, because messages were lost: their answers may have been among them, and nobody
    /// shall be blamed for those.
    pub fn on_lost_messages(&mut self) {
        self.counts.forgotten += self.questions.clear() as u64;
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
        0 => asked.map(|asked| time.saturating_sub(asked.at)),
        latency_ns => Some(Duration::from_nanos(latency_ns)),
    };
    let Answers {
        addresses,
        aliases,
        ttl,
    } = message.answers;
    Lookup {
        cgroup: CgroupId(header.cgroup),
        time,
        server: server(header),
        over_tcp: header.flags & OVER_TCP != 0,
        name: question.name,
        kind: kind_name(question.kind),
        rcode: Some(rcode_name(message.rcode)),
        latency,
        addresses,
        aliases,
        ttl,
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
