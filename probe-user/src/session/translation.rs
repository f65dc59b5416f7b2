//! The thread that asks connection tracking for translated addresses.
//!
//! It keeps the capabilities that this needs all the time, and nobody else does. It owns the sockets; what is asked, and what
//! becomes of the answers, is the business of [`Translations`].

mod pending;
mod places;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread,
    time::Duration,
};

use rustix::thread::{CapabilitySet, gettid};

pub use self::pending::TranslationCounts;
pub(super) use self::pending::Translations;
use self::places::Places;
use crate::{
    config::FlowTranslation,
    kernel::conntrack::Tracked,
    limits,
    model::{Flow, Tuple},
    privileges::{Apart, DropError, Need, Task, drop_on_this_thread},
};

/// Questions that are answered before sockets of containers are closed, which keep their namespaces alive.
const BATCH: usize = 256;

/// Whose connection tracking is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TranslationScope {
    /// The host's: of the network namespace of this process, and of process 1 where that is another.
    Host,
    /// That of the socket's network namespace, and then the host's.
    All,
}

impl TranslationScope {
    /// What the configuration asks for, where by default it depends on whether somebody `asks`; `None` for nobody's.
    pub fn new(wanted: FlowTranslation, asks: bool) -> Option<Self> {
        match wanted {
            FlowTranslation::Auto => asks.then_some(Self::Host),
            FlowTranslation::Host => Some(Self::Host),
            FlowTranslation::All => Some(Self::All),
            FlowTranslation::Off => None,
        }
    }

    /// The part of nodeprobe that it is, for its privileges.
    pub fn task(self) -> Task {
        match self {
            Self::Host => Task::Translation,
            Self::All => Task::TranslationEverywhere,
        }
    }
}

/// The thread could not be started, or is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TranslatorError {
    /// The system refused.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The kernel has no netfilter, or a namespace cannot be entered.
    #[error("connection tracking cannot be asked")]
    Open(#[source] io::Error),
    /// It would keep more than it needs.
    #[error("privileges are kept")]
    Privileges(#[source] DropError),
    /// It ended before it was ready.
    #[error("the thread has panicked; please report this")]
    Panicked,
}

/// A flow, as far as it takes to ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    id: u64,
    tuple: Tuple,
}

impl From<&Flow> for Key {
    fn from(flow: &Flow) -> Self {
        Self {
            id: flow.id,
            tuple: flow.tuple,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Question {
    key: Key,
    /// Network namespace of the socket, where known.
    netns: Option<u32>,
}

/// `None` where asking failed.
type Answer = (Key, Option<Tracked>);

/// The thread, for the one who asks. It ends when this is dropped.
pub struct Translator {
    questions: SyncSender<Question>,
    answers: Receiver<Answer>,
    apart: Apart,
}

impl Translator {
    /// Starts the thread, which opens what it needs and then keeps only what it will need.
    ///
    /// Call it before privileges are let go of: the thread has those of the calling one.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started, or would be of no use.
    pub fn start(scope: TranslationScope, proc: PathBuf) -> Result<Self, TranslatorError> {
        let (questions, asked) = sync_channel::<Question>(limits::TRANSLATIONS_ASKED);
        let (answering, answers) = sync_channel::<Answer>(limits::TRANSLATIONS_ASKED);
        let (ready, started) = sync_channel(1);
        let keeps = Need::of(scope.task()).capabilities;
        thread::Builder::new()
            .name("translation".into())
            .spawn(move || {
                let opened = open(scope, proc, keeps);
                let tid = gettid().as_raw_nonzero().get();
                let (places, told) = match opened {
                    Ok(places) => (Some(places), Ok(tid)),
                    Err(error) => (None, Err(error)),
                };
                let (Ok(()), Some(mut places)) = (ready.send(told), places) else {
                    return;
                };
                let run = AssertUnwindSafe(|| answer_all(&asked, &answering, &mut places));
                if catch_unwind(run).is_err() {
                    tracing::error!(
                        "translated addresses are no longer asked for after a fault of the agent; please report this"
                    );
                }
            })
            .map_err(TranslatorError::Thread)?;
        let tid = started.recv().map_err(|_| TranslatorError::Panicked)??;
        Ok(Self {
            questions,
            answers,
            apart: Apart { tid, keeps },
        })
    }

    /// What the thread keeps, for who checks that no thread keeps too much.
    pub fn apart(&self) -> Apart {
        self.apart
    }

    /// Asks, and never waits; answers whether there was room, or that the thread is gone.
    fn ask(&self, question: Question) -> Result<bool, Gone> {
        match self.questions.try_send(question) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    /// The next answer, if there is one within this time.
    fn answer(&self, within: Duration) -> Result<Option<Answer>, Gone> {
        match self.answers.recv_timeout(within) {
            Ok(answer) => Ok(Some(answer)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }
}

/// The thread has ended.
#[derive(Debug)]
struct Gone;

fn open(
    scope: TranslationScope,
    proc: PathBuf,
    keeps: CapabilitySet,
) -> Result<Places, TranslatorError> {
    let places = Places::open(scope, proc).map_err(TranslatorError::Open)?;
    drop_on_this_thread(keeps).map_err(TranslatorError::Privileges)?;
    Ok(places)
}

fn answer_all(asked: &Receiver<Question>, answers: &SyncSender<Answer>, places: &mut Places) {
    while let Ok(first) = asked.recv() {
        let mut batch: Vec<_> = std::iter::once(first)
            .chain(asked.try_iter().take(BATCH - 1))
            .collect();
        // Those of one namespace share a visit to it.
        batch.sort_by_key(|question| question.netns);
        for question in batch {
            let tracked = places.translate(&question.key.tuple, question.netns);
            // Without room the one who asked waits no more by the time that there is.
            if let Err(TrySendError::Disconnected(_)) = answers.try_send((question.key, tracked)) {
                return;
            }
        }
        places.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_connection_tracking_is_asked_where_there_is_a_log() {
        use FlowTranslation::{All, Auto, Host, Off};

        let scope = TranslationScope::new;
        assert_eq!(scope(Auto, false), None);
        assert_eq!(scope(Auto, true), Some(TranslationScope::Host));
        assert_eq!(scope(Host, false), Some(TranslationScope::Host));
        assert_eq!(scope(All, false), Some(TranslationScope::All));
        assert_eq!(scope(Off, true), None);
    }

    /// So sockets that were opened before privileges are dropped do not suffice.
    #[test]
    fn the_kernel_wants_the_capability_of_who_sends() {
        use crate::kernel::conntrack::{AskError, Conntrack, is_loaded};

        if !is_loaded("/proc".as_ref()) {
            test_skip::skip("conntrack", "the kernel has not loaded connection tracking");
            return;
        }
        let mut opened = Conntrack::open().unwrap();
        if opened.entries().is_err() {
            test_skip::skip("capabilities", "this process has no CAP_NET_ADMIN to drop");
            return;
        }
        let asked = thread::spawn(move || {
            drop_on_this_thread(CapabilitySet::empty()).unwrap();
            opened.entries()
        });
        let refused = asked.join().unwrap().unwrap_err();
        assert!(matches!(refused, AskError::Refused(_)), "{refused:?}");
        assert_eq!(refused.remedy(), Some("needs CAP_NET_ADMIN"));
    }

    #[test]
    fn the_thread_keeps_what_it_needs_and_nothing_else() {
        let started = Translator::start(TranslationScope::Host, "/proc".into());
        let translator = match started {
            Err(TranslatorError::Open(error)) => {
                test_skip::skip("conntrack", &error.to_string());
                return;
            }
            other => other.unwrap(),
        };
        let status = format!("/proc/self/task/{}/status", translator.apart().tid);
        let status = std::fs::read_to_string(status).unwrap();
        let permitted = status
            .lines()
            .find_map(|line| line.strip_prefix("CapPrm:"))
            .unwrap();
        let permitted = u64::from_str_radix(permitted.trim(), 16).unwrap();
        let more = CapabilitySet::from_bits_retain(permitted).difference(translator.apart().keeps);
        assert_eq!(more, CapabilitySet::empty());
    }
}
