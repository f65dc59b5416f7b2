//! How a question ends: with names, with a reason, or at its deadline.

use std::{sync::Arc, time::Instant};

use super::{Cache, Ticket};
use crate::{
    identity::{Answer, Names, Pod, paths::Question},
    model::{Naming, Runtime},
};

/// The reason where no runtime gave a better one.
const TOO_LATE: &str = "the runtime did not answer in time";

impl Cache {
    /// Hands out questions that are due, at most `max`.
    pub(in crate::identity) fn pending(
        &mut self,
        now: Instant,
        max: usize,
    ) -> Vec<(Ticket, Question)> {
        let tickets = self.asking.take_due(now, max);
        let question = |ticket: Ticket| self.entries.get(&ticket)?.question.clone();
        tickets
            .into_iter()
            .filter_map(|ticket| Some((ticket, question(ticket)?)))
            .collect()
    }

    /// When there is something to ask, to give up or to forget.
    pub(in crate::identity) fn next_due(&self) -> Option<Instant> {
        let forget = self
            .removals
            .front()
            .map(|(at, _)| *at + self.limits.retention);
        self.asking.next().into_iter().chain(forget).min()
    }

    /// Takes an answer, unless it came too late.
    pub(in crate::identity) fn resolved(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        let guess = self.is_guess(ticket);
        match answer {
            Answer::No {
                reason,
                again: true,
                pod,
            } => {
                self.note_pod(ticket, pod);
                self.asking.again(ticket, reason, now);
            }
            Answer::No {
                reason,
                again: false,
                pod,
            } => {
                self.note_pod(ticket, pod);
                // A guess that was wrong leaves the path, and that is the right name of such a
                // cgroup.
                let naming = if guess {
                    Naming::Named
                } else {
                    Naming::Unnamed(reason)
                };
                self.close(ticket, naming);
            }
            Answer::Names(names) => {
                if self.asking.stop(ticket) {
                    self.stats.named += 1;
                    self.name(ticket, names, guess);
                }
            }
        }
    }

    /// Gives up on overdue questions and forgets what was removed long ago.
    pub(in crate::identity) fn expire(&mut self, now: Instant) {
        while let Some((ticket, reason)) = self.asking.overdue(now) {
            self.close(ticket, Naming::Unnamed(reason.unwrap_or(TOO_LATE)));
        }
        self.expire_retained(now);
    }

    /// Has the time of all open questions begin at `begin`, and of those that are raised until then.
    pub(in crate::identity) fn postpone(&mut self, begin: Instant) {
        self.begin = Some(begin);
        self.asking.postpone(begin + self.limits.deadline);
    }

    /// Notes the pod of a container whose own name may follow, or never come. Nobody sees it before the question ends.
    fn note_pod(&mut self, ticket: Ticket, pod: Option<Pod>) {
        let entry = self.entries.get_mut(&ticket);
        if let (Some(entry), Some(pod), true) = (entry, pod, self.asking.is_open(ticket)) {
            let container = Arc::make_mut(&mut entry.container);
            container.namespace = pod.namespace;
            container.pod = pod.name;
        }
    }

    fn is_guess(&self, ticket: Ticket) -> bool {
        let question = self
            .entries
            .get(&ticket)
            .and_then(|entry| entry.question.as_ref());
        question.is_some_and(|question| question.guess)
    }

    /// Ends a question without names.
    fn close(&mut self, ticket: Ticket, naming: Naming) {
        if !self.asking.stop(ticket) {
            return;
        }
        self.stats.unnamed += u64::from(naming != Naming::Named);
        if let Some(entry) = self.entries.get_mut(&ticket) {
            Arc::make_mut(&mut entry.container).naming = naming;
        }
    }

    fn name(&mut self, ticket: Ticket, names: Names, guess: bool) {
        let Some(entry) = self.entries.get_mut(&ticket) else {
            return;
        };
        let container = Arc::make_mut(&mut entry.container);
        let Names {
            runtime,
            namespace,
            pod,
            pod_uid,
            name,
        } = names;
        container.runtime = runtime;
        container.namespace = namespace;
        container.pod = pod;
        container.name = name;
        container.naming = Naming::Named;
        if !pod_uid.is_empty() {
            container.pod_uid = pod_uid;
        }
        if container.id.is_none() {
            container.id = entry.question.as_ref().map(|question| question.id.clone());
        }
        if guess && runtime == Runtime::Containerd {
            self.take_in_below(ticket);
        }
    }

    /// Moves what was entered on its own below a path that turned out to be a container.
    fn take_in_below(&mut self, ticket: Ticket) {
        let Some(own) = self
            .entries
            .get(&ticket)
            .map(|entry| &entry.container.cgroup_path)
        else {
            return;
        };
        let prefix = format!("{own}/");
        let below: Vec<(String, Ticket)> = self
            .live_paths
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .map(|(path, below)| (path.clone(), *below))
            .collect();
        for (path, below) in below {
            // A container inside this one stays one.
            if self
                .entries
                .get(&below)
                .is_none_or(|entry| entry.container.id.is_some())
            {
                continue;
            }
            self.live_paths.remove(&path);
            let Some(merged) = self.entries.remove(&below) else {
                continue;
            };
            self.asking.stop(below);
            for id in &merged.members {
                if let Some(member) = self.members.get_mut(id) {
                    member.entry = ticket;
                }
            }
            if let Some(entry) = self.entries.get_mut(&ticket) {
                entry.members.extend(merged.members);
                entry.live += merged.live;
            }
        }
    }
}
