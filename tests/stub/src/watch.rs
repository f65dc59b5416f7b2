//! Watches: events as lines of JSON, until somebody ends them.

use std::{future::pending, io, sync::Arc, time::Duration};

use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use crate::{
    answer::Chunk,
    query::Options,
    select::Scope,
    show,
    state::{Shared, State},
    status::Status,
    store::{Change, Stored},
};

/// Real servers take a minute.
const BOOKMARK_INTERVAL: Duration = Duration::from_millis(500);

/// Changes that are looked at in one go.
const BATCH: usize = 256;

/// Chunks that wait for a slow client.
const QUEUE: usize = 16;

struct Watch {
    shared: Arc<Shared>,
    scope: Scope,
    /// Everything up to here has been sent.
    position: u64,
    broken: u64,
    ended: u64,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Option<Instant>,
}

enum Step {
    Send(Vec<u8>),
    /// Too old a version: an event, then the end.
    Fail(Vec<u8>),
    Break,
    End,
    Wait,
}

/// Starts a watch on the runtime of the caller.
pub(crate) fn start(
    shared: &Arc<Shared>,
    state: &mut State,
    scope: Scope,
    options: &Options,
) -> mpsc::Receiver<Chunk> {
    let now = Instant::now();
    let mut first = Vec::new();
    let position = match options.version {
        Some(version) => version,
        None => {
            let version = state.store.version();
            for (key, stored) in state.store.at(scope.target.kind, version) {
                if scope.covers(&key) && scope.selects(&key, &stored) {
                    line(&mut first, "ADDED", &show::object(&scope.target, &stored));
                }
            }
            version
        }
    };
    *state.watches.entry(scope.target.kind.plural).or_default() += 1;
    let watch = Watch {
        shared: Arc::clone(shared),
        scope,
        position,
        broken: state.broken,
        ended: state.ended,
        bookmarks: options.bookmarks,
        next_bookmark: now + BOOKMARK_INTERVAL,
        deadline: options.timeout.map(|timeout| now + timeout),
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(watch.run(first, sender, shared.subscribe()));
    receiver
}

impl Watch {
    async fn run(
        mut self,
        first: Vec<u8>,
        sender: mpsc::Sender<Chunk>,
        mut changed: watch::Receiver<()>,
    ) {
        let mut step = Step::Send(first);
        loop {
            let sent = match step {
                Step::Send(lines) if lines.is_empty() => Ok(()),
                Step::Send(lines) => sender.send(Ok(lines.into())).await,
                Step::Fail(lines) => {
                    sender.send(Ok(Bytes::from(lines))).await.ok();
                    return;
                }
                Step::Break => {
                    let fault = io::Error::from(io::ErrorKind::ConnectionAborted);
                    sender.send(Err(fault)).await.ok();
                    return;
                }
                Step::End => return,
                Step::Wait => {
                    tokio::select! {
                        _changed = changed.changed() => {}
                        () = at(self.deadline) => {}
                        () = at(self.bookmarks.then_some(self.next_bookmark)) => {}
                        () = sender.closed() => return,
                    }
                    Ok(())
                }
            };
            if sent.is_err() {
                return;
            }
            step = self.step();
        }
    }

    fn step(&mut self) -> Step {
        let now = Instant::now();
        let shared = Arc::clone(&self.shared);
        let state = shared.lock();
        if state.broken != self.broken {
            return Step::Break;
        }
        let over = self.deadline.is_some_and(|deadline| deadline <= now);
        if over || state.ended != self.ended || !state.is_on(&self.scope.target.resource()) {
            return Step::End;
        }
        let mut lines = Vec::new();
        let oldest = state.store.compacted();
        if self.position < oldest {
            line(
                &mut lines,
                "ERROR",
                &Status::expired(self.position, oldest).body(),
            );
            return Step::Fail(lines);
        }
        let changes = state.store.after(self.position);
        let more = changes.len() > BATCH;
        for change in changes.iter().take(BATCH) {
            self.show(&mut lines, change);
            self.position = change.version;
        }
        if self.bookmarks && !more && self.next_bookmark <= now {
            self.next_bookmark = now + BOOKMARK_INTERVAL;
            let target = &self.scope.target;
            // A client may have started in the future.
            let at = self.position.max(state.store.version());
            self.position = at;
            line(
                &mut lines,
                "BOOKMARK",
                &show::bookmark(target.kind, target.version, at),
            );
        }
        if lines.is_empty() && !more {
            Step::Wait
        } else {
            Step::Send(lines)
        }
    }

    /// Writes what a change is for those who see only selected objects.
    fn show(&self, lines: &mut Vec<u8>, change: &Change) {
        let scope = &self.scope;
        if !scope.covers(&change.key) {
            return;
        }
        let seen = |side: &Option<Arc<Stored>>| {
            side.as_ref()
                .filter(|stored| scope.selects(&change.key, stored))
                .cloned()
        };
        let target = &scope.target;
        match (seen(&change.before), seen(&change.after)) {
            (None, None) => {}
            (None, Some(after)) => line(lines, "ADDED", &show::object(target, &after)),
            (Some(_), Some(after)) => line(lines, "MODIFIED", &show::object(target, &after)),
            (Some(before), None) => {
                let object = show::deleted(target, &before, change.version);
                line(lines, "DELETED", &object);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let plural = self.scope.target.kind.plural;
        if let Some(open) = self.shared.lock().watches.get_mut(plural) {
            *open = open.saturating_sub(1);
        }
    }
}

fn line(lines: &mut Vec<u8>, kind: &str, object: &Value) {
    let event = json!({"type": kind, "object": object});
    lines.extend_from_slice(event.to_string().as_bytes());
    lines.push(b'\n');
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
