//! How a question ends: with names, with a reason, or not before the container does.

use std::{sync::Arc, time::Instant};

use rustc_hash::FxHashMap;

use super::{Cache, Ticket};
use crate::{
    identity::{Answer, Names, Pod, Retry, Told, bounded::bounded, paths::Question},
    model::{Naming, NoName},
};

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

    /// Takes an answer. Names are taken however late they come.
    pub(in crate::identity) fn resolved(&mut self, ticket: Ticket, answer: Answer, now: Instant) {
        match answer {
            Answer::No { reason, retry, pod } => {
                self.note_pod(ticket, pod);
                match retry {
                    Retry::Soon => {}
                    Retry::Later => self.make_late(ticket, reason),
                    Retry::Never => {
                        if self.asking.stop(ticket) {
                            self.set_unnamed(ticket, reason);
                        }
                    }
                }
                if self.asking.is_late(ticket) {
                    self.set_unnamed(ticket, reason);
                }
                self.asking.again(ticket, reason, now);
            }
            Answer::Names(names) => {
                let was_late = self.asking.is_late(ticket);
                if self.asking.stop(ticket) {
                    self.stats.named += 1;
                    self.name(ticket, names, now);
                }
                if was_late {
                    // The runtime is back: it knows the other containers too.
                    self.asking.hurry_late(now);
                }
            }
        }
    }

    /// Has containers go on without a name whose question is overdue, and forgets what was removed long ago.
    pub(in crate::identity) fn expire(&mut self, now: Instant) {
        while let Some((ticket, reason)) = self.asking.overdue(now) {
            self.make_late(ticket, reason.unwrap_or(NoName::TimedOut));
        }
        self.expire_retained(now);
    }

    /// Has the time of all fresh questions begin at `begin`, and of those that are raised until then.
    pub(in crate::identity) fn postpone(&mut self, begin: Instant) {
        self.begin = Some(begin);
        self.asking.postpone(begin + self.limits.deadline);
    }

    /// Has all late questions asked at once.
    pub(in crate::identity) fn hurry(&mut self, now: Instant) {
        self.asking.hurry_late(now);
    }

    /// Takes what runtimes report of their own accord: names, and cgroups that are containers.
    pub(in crate::identity) fn told(&mut self, reports: &[Told], now: Instant) {
        for report in reports {
            if let Some(path) = &report.path {
                self.claim(path, &report.id, report.names.runtime, now);
            }
        }
        let reported: FxHashMap<&str, &Names> = reports
            .iter()
            .map(|report| (report.id.as_str(), &report.names))
            .collect();
        let affected: Vec<(Ticket, Names)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.live > 0)
            .filter_map(|(ticket, entry)| {
                let id = entry.container.id.as_deref()?;
                let names = *reported.get(id)?;
                let known = &entry.container;
                let differs = known.naming != Naming::Named
                    || known.name != bounded(names.name.clone())
                    || known.pod != names.pod
                    || known.namespace != names.namespace;
                // A pod's names are those of its CRI runtime, however another interface calls the container.
                (differs && (known.pod.is_empty() || !names.pod.is_empty()))
                    .then(|| (*ticket, names.clone()))
            })
            .collect();
        for (ticket, names) in affected {
            if self.asking.stop(ticket) {
                self.stats.named += 1;
            }
            self.name(ticket, names, now);
        }
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

    /// Has a container go on without its name, which is asked for again as long as the container exists.
    fn make_late(&mut self, ticket: Ticket, reason: NoName) {
        if !self.asking.make_late(ticket) {
            return;
        }
        self.set_unnamed(ticket, reason);
        if self.entries.get(&ticket).is_none_or(|it| it.live == 0) {
            self.asking.stop(ticket);
        }
    }

    /// The reason why a container has no name. What may be no container at all has the right name: its path.
    fn set_unnamed(&mut self, ticket: Ticket, reason: NoName) {
        let Some(entry) = self.entries.get_mut(&ticket) else {
            return;
        };
        let guess = entry.question.as_ref().is_some_and(|it| it.guess);
        let naming = if guess {
            Naming::Named
        } else {
            Naming::Unnamed(reason)
        };
        if entry.container.naming != naming {
            Arc::make_mut(&mut entry.container).naming = naming;
        }
    }

    fn name(&mut self, ticket: Ticket, names: Names, now: Instant) {
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
        container.name = bounded(name);
        container.naming = Naming::Named;
        if !pod_uid.is_empty() {
            container.pod_uid = pod_uid;
        }
        if container.id.is_none()
            && let Some(id) = entry.question.as_ref().map(|question| question.id.clone())
        {
            container.id = Some(id.clone());
            let path = container.cgroup_path.clone();
            self.claim(&path, &id, runtime, now);
        }
    }
}
