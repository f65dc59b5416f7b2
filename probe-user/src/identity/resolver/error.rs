//! What can go wrong with a query, and what it says of the container and of the runtime.

use std::io;

use super::Answer;
use crate::{
    identity::{Pod, Reach, Retry, paths::Question},
    model::NoName,
};

/// Why a runtime gave no names.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    /// Nothing is there: the runtime is not installed or not running.
    #[error("not there; is the runtime running?")]
    Absent,
    /// It cannot be reached.
    #[error("cannot be reached: {0}; check that it runs and that the socket may be opened")]
    Unreachable(String),
    /// It was not asked, since it could not be reached a moment ago.
    #[error("could not be reached a moment ago")]
    BackingOff,
    /// It took too long.
    #[error("did not answer in time")]
    Timeout,
    /// It answered something else.
    #[error("answered what was not understood: {0}")]
    Protocol(String),
    /// It does not have what was called: an older version, or a part that is switched off.
    #[error("does not offer this interface; is it switched off in its configuration?")]
    Unimplemented,
    /// It answered that there is no such container.
    #[error("does not know the container")]
    NotFound,
    /// The container's pod is known, and nothing was said of the container itself yet.
    #[error("knows the pod and not yet the container")]
    OnlyPod(Pod),
}

impl SourceError {
    /// Whether the next call is likely to fail in the same way, and to take its time for it.
    pub(super) fn is_broken(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Timeout | Self::Protocol(_)
        )
    }

    /// The answer when these are all the failures: the one that says most about the container is
    /// kept.
    pub(super) fn refusal(failures: &[Self], question: &Question) -> Answer {
        let (_, reason, retry) = failures
            .iter()
            .map(|failure| failure.weight(question))
            .max()
            .unwrap_or((0, NoName::NotConfigured, Retry::Later));
        let pod = failures.iter().find_map(|failure| match failure {
            Self::OnlyPod(pod) => Some(pod.clone()),
            _ => None,
        });
        Answer::No { reason, retry, pod }
    }

    /// How much this says about the container, the reason for the operator, and whether to ask
    /// again.
    fn weight(&self, question: &Question) -> (u8, NoName, Retry) {
        match self {
            // The runtime may start later.
            Self::Absent | Self::Unimplemented => (0, NoName::NotRunning, Retry::Later),
            // The path was no more than a guess.
            Self::NotFound if question.guess => (1, NoName::NotFound, Retry::Never),
            // An id may not have been registered yet.
            Self::NotFound => (1, NoName::NotFound, Retry::Soon),
            Self::OnlyPod(_) => (1, NoName::PodOnly, Retry::Soon),
            Self::BackingOff => (2, NoName::Unreachable, Retry::Soon),
            Self::Unreachable(_) => (3, NoName::Unreachable, Retry::Soon),
            Self::Timeout => (4, NoName::TimedOut, Retry::Soon),
            Self::Protocol(_) => (5, NoName::InvalidResponse, Retry::Soon),
        }
    }

    /// What this says about whether the runtime responds; `None` where it was not queried.
    pub(super) fn reach(&self) -> Option<Reach> {
        match self {
            Self::NotFound | Self::OnlyPod(_) => Some(Reach::Responds),
            Self::Absent => Some(Reach::Absent),
            Self::BackingOff | Self::Unimplemented => None,
            Self::Unreachable(_) | Self::Timeout | Self::Protocol(_) => {
                Some(Reach::Fails(self.to_string()))
            }
        }
    }
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            _ => Self::Unreachable(error.to_string()),
        }
    }
}
