//! Questions that wait for their answers: a table with a bound.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use probe_common::id::CgroupId;

use super::Question;

/// What an answer repeats, and the socket that it comes to. The server is not part of it: with a service address the
/// question goes to another address than the one that the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exchange {
    pub(super) cookie: u64,
    pub(super) id: u16,
    pub(super) local_port: u16,
}

/// When and by whom it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Monotonic time of the first transmission.
    pub(super) at: Duration,
    pub(super) cgroup: CgroupId,
    pub(super) server: IpAddr,
    pub(super) over_tcp: bool,
}

/// Sorted, so that all questions of one exchange are found.
pub(super) struct Questions {
    waiting: BTreeMap<(Exchange, Question), Asked>,
    capacity: usize,
}

impl Questions {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Enters a question; `false` if there is no room. One that is sent again waits since it was first sent.
    pub(super) fn ask(&mut self, exchange: Exchange, question: Question, asked: Asked) -> bool {
        let key = (exchange, question);
        if self.waiting.contains_key(&key) {
            return true;
        }
        if self.waiting.len() >= self.capacity {
            return false;
        }
        self.waiting.insert(key, asked);
        true
    }

    /// Takes the question that an answer repeats.
    pub(super) fn answered(&mut self, exchange: Exchange, question: &Question) -> Option<Asked> {
        self.waiting.remove(&(exchange, question.clone()))
    }

    /// Takes the question of an answer that repeats none, if only one can be meant.
    pub(super) fn only(&mut self, exchange: Exchange) -> Option<(Question, Asked)> {
        let first = Question {
            name: String::new(),
            kind: 0,
        };
        let mut found = self.waiting.range((exchange, first)..);
        let (key, _) = found.next().filter(|(key, _)| key.0 == exchange)?;
        if found.next().is_some_and(|(key, _)| key.0 == exchange) {
            return None;
        }
        let key = key.clone();
        let asked = self.waiting.remove(&key)?;
        Some((key.1, asked))
    }

    /// Takes all that were asked before this time, in the order in which they were.
    pub(super) fn asked_before(&mut self, time: Duration) -> Vec<(Question, Asked)> {
        let late = self.waiting.extract_if(.., |_, asked| asked.at < time);
        let mut late: Vec<_> = late
            .map(|((_, question), asked)| (question, asked))
            .collect();
        late.sort_by_key(|(_, asked)| asked.at);
        late
    }

    /// Forgets all; how many there were.
    pub(super) fn clear(&mut self) -> usize {
        let waited = self.waiting.len();
        self.waiting.clear();
        waited
    }
}
