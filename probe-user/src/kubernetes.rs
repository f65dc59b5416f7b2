//! What an API server of Kubernetes says of pods and their surroundings.
//!
//! Watches run on a thread of their own and fill a [`Catalog`], from which everybody reads. Without an API server nothing stops:
//! what was read last stays, and how old it is can be asked.

mod addresses;
mod catalog;
mod check;
mod connect;
mod events;
mod pauses;
mod pods;
mod resources;
mod services;
mod settings;
mod state;
mod trim;
mod watch;

use std::{sync::Arc, thread};

use tokio::{runtime::Builder, sync::watch as stop};
use tracing::{error, warn};

pub use self::{
    addresses::Peer,
    catalog::{Catalog, Counts, Named},
    check::{Readable, readable},
    connect::RequestCounts,
    events::{EventCounts, Happening},
    pods::PodFacts,
    resources::Scope,
    services::ServiceName,
    settings::Settings,
    state::{Phase, ResourceState},
};
use crate::logs::chain;

/// The watches, which end when this is dropped.
pub struct Kubernetes {
    catalog: Arc<Catalog>,
    events: Option<events::Sender>,
    _stop: stop::Sender<()>,
}

impl Kubernetes {
    /// Starts to watch. Never fails for the API server's sake: what is wrong there is among the [`Catalog`]'s states and in the log,
    /// and it is tried again.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub fn start(settings: Settings) -> std::io::Result<Self> {
        let catalog = Arc::new(Catalog::new(&settings));
        let (stop, stopped) = stop::channel(());
        let (events, written) = settings.events.then(events::channel).unzip();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let of_thread = catalog.clone();
        thread::Builder::new()
            .name("kubernetes".into())
            .spawn(move || {
                runtime.block_on(run(settings, of_thread, written, stopped));
            })?;
        Ok(Self {
            catalog,
            events,
            _stop: stop,
        })
    }

    /// What is known.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Where Events are handed in, where they are wanted.
    pub fn events(&self) -> Option<&events::Sender> {
        self.events.as_ref()
    }
}

async fn run(
    settings: Settings,
    catalog: Arc<Catalog>,
    written: Option<events::Receiver>,
    mut stopped: stop::Receiver<()>,
) {
    let work = async {
        let client = connect::connected(&settings, &catalog).await;
        let mut tasks = tokio::task::JoinSet::new();
        for resource in resources::wanted(settings.scope, settings.policies) {
            let selector = resource.selector(settings.scope, &settings.node);
            tasks.spawn(watch::follow(
                client.clone(),
                resource,
                selector,
                catalog.clone(),
            ));
        }
        if let Some(written) = written {
            tasks.spawn(events::write(
                client,
                written,
                settings.node.clone(),
                catalog,
            ));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(failure) = ended {
                error!(%failure, "a watch has ended after a fault of the agent; please report this");
            }
        }
    };
    tokio::select! {
        () = work => warn!("nothing of Kubernetes is watched any more"),
        // The value never changes: an answer is the end.
        _ = stopped.changed() => {}
    }
}

/// An error with all its causes, on one line.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    chain(error)
}

#[cfg(test)]
mod tests;
