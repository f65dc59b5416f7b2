//! Questions that wait for their answers: a table with a bound, and a share for each container.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use probe_common::{id::CgroupId, share::may_take};
use rustc_hash::FxHashMap;

use super::Question;

/// What an answer repeats, and the socket that it comes to. The server is not part of it: with a service address the
/// question goes to another address than the one that the answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// How many a cgroup has.
    shares: FxHashMap<CgroupId, usize>,
    capacity: usize,
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// It waits.
    New,
    /// It was sent again.
    Again,
    /// There is no room for another one of this container.
    NoRoom,
}

impl Questions {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            shares: FxHashMap::default(),
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Enters a question. One that is sent again waits since it was first sent.
    pub(super) fn ask(&mut self, exchange: Exchange, question: Question, asked: Asked) -> Entered {
        let key = (exchange, question);
        if self.waiting.contains_key(&key) {
            return Entered::Again;
        }
        let own = self.shares.get(&asked.cgroup).copied().unwrap_or_default();
        let free = self.capacity.saturating_sub(self.waiting.len());
        if !may_take(own as u64, 0, free as u64) {
            return Entered::NoRoom;
        }
        *self.shares.entry(asked.cgroup).or_default() += 1;
        self.waiting.insert(key, asked);
        Entered::New
    }

    fn take(&mut self, key: &(Exchange, Question)) -> Option<Asked> {
        let asked = self.waiting.remove(key)?;
        self.left(asked.cgroup);
        Some(asked)
    }

    fn left(&mut self, cgroup: CgroupId) {
        if let Some(own) = self.shares.get_mut(&cgroup) {
            *own -= 1;
            if *own == 0 {
                self.shares.remove(&cgroup);
            }
        }
    }

    /// Takes the question that an answer repeats.
    pub(super) fn answered(&mut self, exchange: Exchange, question: &Question) -> Option<Asked> {
        self.take(&(exchange, question.clone()))
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
        let asked = self.take(&key)?;
        Some((key.1, asked))
    }

    /// Takes all that are meant, in the order in which they were asked.
    pub(super) fn take_all(
        &mut self,
        mut is_meant: impl FnMut(&Exchange, &Asked) -> bool,
    ) -> Vec<(Question, Asked)> {
        let taken = self
            .waiting
            .extract_if(.., |(exchange, _), asked| is_meant(exchange, asked));
        let mut taken: Vec<_> = taken
            .map(|((_, question), asked)| (question, asked))
            .collect();
        for (_, asked) in &taken {
            self.left(asked.cgroup);
        }
        taken.sort_by_key(|(_, asked)| asked.at);
        taken
    }
}
