//! Writes Events of Kubernetes, which `kubectl describe pod` shows. Few of them: an API server has other things to do.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::sync::mpsc;
use tracing::warn;

use super::{catalog::Catalog, reason};
use crate::limits;

/// How long nothing more is said of the same pod and subject.
const QUIET: Duration = Duration::from_secs(300);
/// Events in a minute, for everything.
const A_MINUTE: u32 = 30;
/// Subjects that are remembered.
const SUBJECTS: usize = 4096;

/// Something that is said of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its uid.
    pub uid: String,
    /// A word in upper camel case for what it is: `NetworkPolicyNotEnforced`.
    pub reason: &'static str,
    /// What exactly, of which one in five minutes is written for each pod.
    pub subject: String,
    /// A sentence for people.
    pub message: String,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Written.
    pub written: u64,
    /// Left out, because the same was said a moment ago or too much was said in all.
    pub limited: u64,
    /// Refused by the API server.
    pub failed: u64,
}

/// Hands them in. Never waits.
#[derive(Clone, Debug)]
pub struct Sender(mpsc::Sender<Happening>);

pub(super) struct Receiver(mpsc::Receiver<Happening>);

pub(super) fn channel() -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::channel(limits::KUBERNETES_EVENTS);
    (Sender(sender), Receiver(receiver))
}

impl Sender {
    /// Hands something in. What finds no room is counted as left out.
    pub fn tell(&self, happening: Happening, catalog: &Catalog) {
        if self.0.try_send(happening).is_err() {
            catalog.count_events(|counts| counts.limited += 1);
        }
    }
}

/// Writes what is handed in, for ever.
pub(super) async fn write(
    client: Client,
    mut happenings: Receiver,
    node: String,
    catalog: Arc<Catalog>,
) {
    let reporter = Reporter {
        controller: "nodeprobe".to_owned(),
        instance: Some(node),
    };
    let recorder = Recorder::new(client, reporter);
    let mut pace = Pace::default();
    let mut has_failed = false;
    while let Some(happening) = happenings.0.recv().await {
        if !pace.admits(&happening, Instant::now()) {
            catalog.count_events(|counts| counts.limited += 1);
            continue;
        }
        let (event, about) = (event(&happening), reference(&happening));
        match recorder.publish(&event, &about).await {
            Ok(_) => {
                has_failed = false;
                catalog.count_events(|counts| counts.written += 1);
            }
            Err(error) => {
                catalog.count_events(|counts| counts.failed += 1);
                if !std::mem::replace(&mut has_failed, true) {
                    warn!(
                        error = reason(&error),
                        "an Event cannot be written; the service account needs `create` and `patch` for events.k8s.io"
                    );
                }
            }
        }
    }
}

fn event(happening: &Happening) -> Event {
    Event {
        type_: EventType::Warning,
        reason: happening.reason.to_owned(),
        // The API server takes no more.
        note: Some(happening.message.chars().take(1000).collect()),
        action: "Observe".to_owned(),
        secondary: None,
    }
}

fn reference(happening: &Happening) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(happening.namespace.clone()),
        name: Some(happening.pod.clone()),
        uid: Some(happening.uid.clone()),
        ..ObjectReference::default()
    }
}

/// How much may be written.
#[derive(Default)]
struct Pace {
    last: HashMap<(String, String), Instant>,
    minute: Option<(Instant, u32)>,
}

impl Pace {
    fn admits(&mut self, happening: &Happening, now: Instant) -> bool {
        let key = (happening.uid.clone(), happening.subject.clone());
        let is_quiet = |at: &Instant| now.duration_since(*at) < QUIET;
        if self.last.get(&key).is_some_and(is_quiet) {
            return false;
        }
        let (begin, count) = match self.minute {
            Some((begin, count)) if now.duration_since(begin) < Duration::from_secs(60) => {
                (begin, count)
            }
            _ => (now, 0),
        };
        if count >= A_MINUTE {
            return false;
        }
        if self.last.len() >= SUBJECTS {
            self.last.retain(|_, at| is_quiet(at));
        }
        if self.last.len() >= SUBJECTS {
            return false;
        }
        self.minute = Some((begin, count + 1));
        self.last.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happening(uid: &str, subject: &str) -> Happening {
        Happening {
            namespace: "shop".into(),
            pod: uid.into(),
            uid: uid.into(),
            reason: "NetworkPolicyNotEnforced",
            subject: subject.into(),
            message: String::new(),
        }
    }

    #[test]
    fn the_same_is_said_once_in_a_while_and_all_within_bounds() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.admits(&happening("a", "x"), now));
        assert!(!pace.admits(&happening("a", "x"), now + QUIET / 2));
        assert!(pace.admits(&happening("a", "y"), now));
        assert!(pace.admits(&happening("a", "x"), now + QUIET));
        let later = now + 2 * QUIET;
        let admitted = (0..100).filter(|n| pace.admits(&happening(&n.to_string(), "x"), later));
        assert_eq!(admitted.count(), A_MINUTE as usize);
        assert!(pace.admits(&happening("z", "x"), later + Duration::from_secs(60)));
    }
}
