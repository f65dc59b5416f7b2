//! Asks the runtimes for the names of containers.
//!
//! Every call has a time limit and every runtime its own limits, so that one broken socket delays
//! nobody else.

mod containerd;
mod cri;
mod docker;
mod error;
mod gate;
mod grpc;
mod http;
mod kubernetes;
mod labels;
mod places;
mod podman;
mod sockets;
mod source;
mod unnamed;

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet};

use super::{Answer, Identities, Ticket, paths::Question};
use crate::{config, kubernetes::Catalog};
use error::SourceError;
pub use sockets::{RuntimeSocket, SocketState, probe_sockets};
use source::{Source, Sources};
use unnamed::UnnamedLog;

/// Questions that are under way at the same time. Each runtime has a lower bound of its own, so
/// this many are reached only where one hangs.
const MAX_IN_FLIGHT: usize = 256;

/// How long the resolver sleeps when there is nothing to do.
const IDLE: Duration = Duration::from_secs(5);

/// How often sockets are looked for that were not there before.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Reports of runtimes that wait to be taken.
const MAX_REPORTS: usize = 16;

/// How long an API server's first list of pods is waited for.
const FIRST_LIST: Duration = Duration::from_secs(20);

/// Where the runtimes are. A place that is not there costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sockets of dockerd.
    pub docker: Vec<PathBuf>,
    /// Sockets of podman's service, which speaks docker's language.
    pub podman: Vec<PathBuf>,
    /// podman's storage directories, where names are found without the service.
    pub podman_storage: Vec<PathBuf>,
    /// Sockets of containerd's own interface.
    pub containerd: Vec<PathBuf>,
    /// Sockets that speak the Kubernetes container runtime interface.
    pub cri: Vec<PathBuf>,
    /// Time limit of one call.
    pub timeout: Duration,
}

impl Config {
    /// Time limit of one call.
    pub const TIMEOUT: Duration = Duration::from_secs(1);
}

impl From<&config::Runtimes> for Config {
    fn from(runtimes: &config::Runtimes) -> Self {
        Self {
            docker: runtimes.docker.clone(),
            podman: runtimes.podman.clone(),
            podman_storage: runtimes.podman_storage.clone(),
            containerd: runtimes.containerd.clone(),
            // containerd serves CRI on its own socket.
            cri: runtimes
                .containerd
                .iter()
                .chain(&runtimes.crio)
                .cloned()
                .collect(),
            timeout: Self::TIMEOUT,
        }
    }
}

/// Answers the questions of `identities` until `shutdown` completes. The answer must be awaited inside a tokio
/// runtime.
///
/// Of containers in pods the `catalog` of an API server is asked as well.
pub fn run(
    identities: Arc<Identities>,
    config: Config,
    catalog: Option<Arc<Catalog>>,
    shutdown: impl Future<Output = ()>,
) -> impl Future<Output = ()> {
    // What was there before us has one chance to be named, and has waited for the probes to be attached. Others give up on
    // questions as well, so this must not wait until somebody polls.
    let wait = catalog.as_ref().map_or(Duration::ZERO, |_| FIRST_LIST);
    identities.postpone(Instant::now() + wait);
    answer(identities, config, catalog, shutdown)
}

async fn answer(
    identities: Arc<Identities>,
    config: Config,
    catalog: Option<Arc<Catalog>>,
    shutdown: impl Future<Output = ()>,
) {
    tokio::pin!(shutdown);
    if let Some(catalog) = &catalog {
        tokio::select! {
            () = &mut shutdown => return,
            () = first_list(catalog) => identities.postpone(Instant::now()),
        }
    }
    let mut sources = Sources::new(config, catalog);
    let (report, mut reports) = mpsc::channel(MAX_REPORTS);
    let mut watchers = JoinSet::new();
    let mut asking: JoinSet<(Ticket, Answer)> = JoinSet::new();
    let mut log = UnnamedLog::default();
    let mut look_at = Instant::now();
    loop {
        let asked = identities.asked();
        let now = Instant::now();
        if now >= look_at {
            look_at = now + LOOK_EVERY;
            if sources.look(&mut watchers, &report) {
                identities.hurry(now);
            }
        }
        identities.expire(now);
        for (ticket, question) in identities.pending(now, MAX_IN_FLIGHT - asking.len()) {
            let sources = sources.all();
            asking.spawn(async move { (ticket, ask(&sources, question).await) });
        }
        if let Some(states) = sources.states() {
            identities.set_runtimes(states);
        }
        log.update(&identities, now);
        let due = identities
            .next_due()
            .map_or(IDLE, |due| due.saturating_duration_since(now));
        // With all slots taken there is nothing to wake up for but an answer.
        let pause = if asking.len() < MAX_IN_FLIGHT {
            due.min(IDLE)
        } else {
            IDLE
        };
        tokio::select! {
            () = &mut shutdown => return,
            () = asked => {}
            Some(done) = asking.join_next() => {
                if let Ok((ticket, answer)) = done {
                    identities.resolved(ticket, answer, Instant::now());
                }
            }
            Some(list) = reports.recv() => identities.told(&list, Instant::now()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Waits until an API server has told of its pods, or that it does not, but not for long.
async fn first_list(catalog: &Catalog) {
    let deadline = Instant::now() + FIRST_LIST;
    while catalog.is_waiting() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until every question is answered, while [`run`] runs elsewhere. Says whether that was so
/// before the deadline.
pub async fn resolve_now(identities: &Identities, deadline: Instant) -> bool {
    loop {
        let settled = identities.settled();
        tokio::pin!(settled);
        // Waiting begins before looking, so that no answer falls between.
        settled.as_mut().enable();
        if !identities.is_pending() {
            return true;
        }
        if tokio::time::timeout_at(deadline.into(), settled)
            .await
            .is_err()
        {
            return !identities.is_pending();
        }
    }
}

/// Waits until no container was named or found for a while, while [`run`] runs elsewhere: runtimes also report what nobody asked for.
pub async fn wait_until_quiet(identities: &Identities, quiet: Duration, deadline: Instant) {
    loop {
        let settled = identities.settled();
        let until = deadline.min(Instant::now() + quiet);
        if tokio::time::timeout_at(until.into(), settled)
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Asks all runtimes that may know, at the same time: the first names win.
async fn ask(sources: &[Arc<Source>], question: Question) -> Answer {
    let question = Arc::new(question);
    let mut calls = JoinSet::new();
    for source in sources
        .iter()
        .filter(|source| question.runtimes.contains(&source.serves()))
    {
        let (source, question) = (Arc::clone(source), Arc::clone(&question));
        calls.spawn(async move { source.ask(&question).await });
    }
    let mut failures = Vec::new();
    while let Some(done) = calls.join_next().await {
        match done {
            Ok(Ok(names)) => return Answer::Names(names),
            Ok(Err(failure)) => failures.push(failure),
            Err(_) => {}
        }
    }
    SourceError::refusal(&failures, &question)
}

#[cfg(test)]
mod tests;
