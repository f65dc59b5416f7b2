//! Signals and flows while a tool measures.

use std::{io, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{last_resort, ring::Ring};
use crate::{
    kernel::clock::monotonic,
    model::LostCount,
    session::{FlowEvent, FlowFollower, FlowSettings, Session, Translator},
};

/// The signals that end a measurement early.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches them from now on. Called inside a runtime.
    pub(super) fn catch() -> io::Result<Self> {
        let caught = Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        };
        last_resort::watch();
        Ok(caught)
    }

    /// Completes when one of them arrives.
    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The flows of a session, where a tool follows them.
pub(super) struct Flows {
    follower: Option<FlowFollower>,
    ring: Ring,
}

impl Flows {
    /// Follows flows with these settings, or nothing. Called inside a runtime.
    pub(super) fn start(
        session: &Session,
        settings: Option<FlowSettings>,
        translator: Option<Translator>,
    ) -> io::Result<Self> {
        let follower = settings.map(|settings| {
            FlowFollower::new(session.take_flow_readers(), settings, monotonic())
                .with_drops(session.take_drops_reader())
                .with_translator(translator)
        });
        let ring = Ring::watch(follower.as_ref().and_then(FlowFollower::ring))?;
        Ok(Self { follower, ring })
    }

    /// Whether flows are followed.
    pub(super) fn are_followed(&self) -> bool {
        self.follower.is_some()
    }

    /// Completes when the ring has to be read, or never.
    pub(super) async fn fill(&self) {
        self.ring.fills().await;
    }

    /// What happened since the last call, and the monotonic time of this one; `None` where nothing is followed.
    pub(super) fn poll(&mut self) -> Option<(Vec<FlowEvent>, Duration)> {
        self.read(FlowFollower::poll)
    }

    /// As [`poll`](Self::poll) for the end of a period: reads the tables as well.
    pub(super) fn poll_all(&mut self) -> Option<(Vec<FlowEvent>, Duration)> {
        self.read(FlowFollower::poll_all)
    }

    /// As [`poll`](Self::poll) for the end of the measurement: all flows end.
    pub(super) fn finish(&mut self) -> Option<(Vec<FlowEvent>, Duration)> {
        self.read(FlowFollower::finish)
    }

    /// Records that make no sense, since the start.
    pub(super) fn undecoded(&self) -> Option<LostCount> {
        self.follower.as_ref().map(|follower| LostCount {
            stream: "flows",
            stage: "decode",
            reason: "decode_error",
            count: follower.counts().undecoded,
        })
    }

    fn read(
        &mut self,
        read: fn(&mut FlowFollower, Duration) -> Vec<FlowEvent>,
    ) -> Option<(Vec<FlowEvent>, Duration)> {
        let now = monotonic();
        self.follower
            .as_mut()
            .map(|follower| (read(follower, now), now))
    }
}
