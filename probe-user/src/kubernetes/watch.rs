//! Follows the objects of one kind.

use std::{collections::HashSet, pin::pin, sync::Arc, time::Instant};

use futures_util::StreamExt as _;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        utils::ResetTimerBackoff,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use super::{
    catalog::Catalog,
    pauses::Pauses,
    reason,
    resources::Resource,
    state::{Phase, ResourceState},
    trim::trimmed,
};
use crate::kernel::memory::give_memory_back;

/// How often a server that does not have a resource is asked again: somebody may install it.
const ABSENT_AGAIN: Duration = Duration::from_secs(300);
/// How often a server is asked again that could not say what it has.
const AGAIN: Duration = Duration::from_secs(5);
/// How often it is looked whether a watch that had failed goes on.
const LOOK: Duration = Duration::from_secs(1);
/// Objects in a list that took a lot of memory.
const MANY: usize = 1000;
/// Failures that are further apart than this have nothing to do with each other.
const QUIET: Duration = Duration::from_secs(60);
/// Objects with faults that are logged one by one.
const TOLD: u32 = 20;

/// Follows a resource for ever.
pub(super) async fn follow(
    client: Client,
    resource: &'static Resource,
    selector: Option<String>,
    catalog: Arc<Catalog>,
) {
    loop {
        match offered(&client, resource).await {
            Ok(Some((of, version))) => {
                let api = of.api(version);
                debug!(
                    resource = api.plural,
                    version = api.api_version,
                    "is watched"
                );
                let mut watch = Watch {
                    of,
                    slot: resource,
                    catalog: &catalog,
                    listed: HashSet::new(),
                    failed_at: None,
                    told: 0,
                };
                watch.run(client.clone(), &api, selector.as_deref()).await;
            }
            Ok(None) => {
                let before = catalog.update(resource.plural, resource.kind, |state| {
                    state.phase = Phase::Absent;
                });
                if before != Phase::Absent {
                    info!(resource = resource.plural, "the server does not have this");
                }
                catalog.keep_only(resource.kind, &HashSet::new());
                sleep(ABSENT_AGAIN).await;
            }
            Err(error) => {
                fail(&catalog, resource, &reason(&error));
                sleep(AGAIN).await;
            }
        }
    }
}

/// The newest version that the server has.
pub(super) async fn offered(
    client: &Client,
    resource: &'static Resource,
) -> Result<Option<(&'static Resource, (&'static str, &'static str))>, kube::Error> {
    if resource.is_core() {
        return Ok(Some((resource, resource.versions[0])));
    }
    for version in resource.versions {
        let (group, number) = version;
        match client
            .list_api_group_resources(&format!("{group}/{number}"))
            .await
        {
            Ok(list) if list.resources.iter().any(|it| it.name == resource.plural) => {
                return Ok(Some((resource, *version)));
            }
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(resource.instead.map(|other| (other, other.versions[0])))
}

/// Notes that nothing can be read, and says so once.
fn fail(catalog: &Catalog, resource: &Resource, text: &str) {
    let before = catalog.update(resource.plural, resource.kind, |state| {
        state.phase = Phase::Failed(text.to_owned());
    });
    if !matches!(before, Phase::Failed(_)) {
        warn!(
            resource = resource.plural,
            error = text,
            "cannot be read from the API server; what was read last stays, and it is tried again"
        );
    }
}

struct Watch<'a> {
    /// What is watched.
    of: &'static Resource,
    /// What it is watched for.
    slot: &'static Resource,
    catalog: &'a Catalog,
    /// Objects that a list has told so far.
    listed: HashSet<(String, String)>,
    /// When it failed, while it has not been answered since.
    failed_at: Option<Instant>,
    told: u32,
}

impl Watch<'_> {
    /// Until the server has the resource no longer.
    async fn run(&mut self, client: Client, api: &ApiResource, selector: Option<&str>) {
        let objects: Api<DynamicObject> = Api::all_with(client, api);
        // From the server's cache: a node that starts may read what is a moment old, and costs next to nothing.
        // Lists in pages are always read from behind that cache.
        let mut config = watcher::Config {
            page_size: None,
            ..watcher::Config::default().any_semantic()
        };
        if let Some(selector) = selector {
            config = config.fields(selector);
        }
        let backoff = ResetTimerBackoff::new(Pauses::default(), QUIET);
        let mut events = pin!(watcher(objects, config).backoff(backoff));
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.take(event),
                    Some(Err(error)) if is_gone(&error) && !self.of.is_core() => return,
                    Some(Err(error)) => self.fail(&error),
                    None => return,
                },
                _ = looks.tick() => self.look(),
            }
        }
    }

    fn take(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(name_of(&object));
                self.put(object);
            }
            Event::InitDone => {
                self.catalog.keep_only(self.of.kind, &self.listed);
                if self.of.kind == "Pod" && self.catalog.pods_here().is_empty() {
                    warn!(
                        node = self.catalog.node(),
                        listed = self.listed.len(),
                        "no pod runs on this node, as the API server says; is `node` its name in the cluster?"
                    );
                }
                // The text of a large list is many times what is kept of it.
                if self.listed.len() > MANY {
                    give_memory_back();
                }
                self.listed = HashSet::new();
                self.failed_at = None;
                self.note(|state| {
                    state.has_synced = true;
                    state.lists += 1;
                });
            }
            Event::Apply(object) => {
                self.put(object);
                self.note(|_| {});
            }
            Event::Delete(object) => {
                let (namespace, name) = name_of(&object);
                self.catalog.remove(self.of.kind, &namespace, &name);
                self.note(|_| {});
            }
        }
    }

    fn put(&mut self, object: DynamicObject) {
        let mut object = object;
        // Elements of a list need not say what they are.
        object.types.get_or_insert_with(|| {
            let api = self.of.api(self.of.versions[0]);
            kube::api::TypeMeta {
                api_version: api.api_version,
                kind: api.kind,
            }
        });
        let Some(value) = trimmed(object) else {
            return;
        };
        for finding in self.catalog.put(&value) {
            self.told += 1;
            if self.told <= TOLD {
                warn!("{finding}");
            }
        }
    }

    /// Something was read.
    fn note(&mut self, change: impl FnOnce(&mut ResourceState)) {
        let has_failed = self.failed_at.is_some();
        let before = self
            .catalog
            .update(self.slot.plural, self.of.kind, |state| {
                change(state);
                if state.has_synced && !has_failed {
                    state.phase = Phase::Synced;
                    state.fresh_at = Some(Instant::now());
                }
            });
        if matches!(before, Phase::Failed(_)) && !has_failed {
            info!(resource = self.slot.plural, "can be read again");
        }
    }

    fn fail(&mut self, error: &watcher::Error) {
        let now = Instant::now();
        // A server ends watches as it likes; one that is answered again at once has not failed.
        let is_restart = matches!(error, watcher::Error::WatchError(status) if status.code == 410);
        self.failed_at = Some(now);
        if !is_restart {
            fail(self.catalog, self.slot, &reason(error));
        }
    }

    /// A watch that goes on without news is up to date. That it goes on is told by its last answer.
    fn look(&mut self) {
        let answered = self.catalog.requests.answered_at(self.of.plural);
        if self.failed_at.is_some() && self.failed_at < answered {
            self.failed_at = None;
        }
        if self.failed_at.is_none() {
            self.note(|_| {});
        }
        if self.of.kind == "Pod" {
            self.catalog.expire();
        }
    }
}

fn name_of(object: &DynamicObject) -> (String, String) {
    let metadata = &object.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// Whether the server does not have the resource, or not any more.
fn is_gone(error: &watcher::Error) -> bool {
    let error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => return false,
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
