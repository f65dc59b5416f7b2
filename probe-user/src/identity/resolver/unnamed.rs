//! The warning that containers have no name.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{
    identity::Identities,
    model::{Naming, NoName, Runtime},
};

/// The least time between two looks, and between a warning and the one for more containers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const WARN_EVERY: Duration = Duration::from_secs(300);

/// Logs when containers stay without a name, and when all have one again.
#[derive(Debug, Default)]
pub(super) struct UnnamedLog {
    looked: Option<Instant>,
    warned: Option<(Instant, usize)>,
}

impl UnnamedLog {
    /// Looks at the containers, unless that was done a moment ago.
    pub(super) fn update(&mut self, identities: &Identities, now: Instant) {
        if self
            .looked
            .is_some_and(|at| now.duration_since(at) < LOOK_EVERY)
        {
            return;
        }
        self.looked = Some(now);
        let reasons = identities.unnamed();
        let count = reasons.values().sum();
        match self.warned {
            None if count == 0 => {}
            Some(_) if count == 0 => {
                self.warned = None;
                tracing::info!("all containers have their names");
            }
            Some((at, before)) if count <= before || now.duration_since(at) < WARN_EVERY => {}
            _ => {
                self.warned = Some((now, count));
                for ((runtime, reason), containers) in &reasons {
                    tracing::warn!(
                        %runtime,
                        containers,
                        %reason,
                        "containers have no name and are shown by their short id until a runtime names them"
                    );
                }
            }
        }
    }
}

impl Identities {
    /// Containers that exist and have no name, by runtime and reason.
    pub fn unnamed(&self) -> BTreeMap<(Runtime, NoName), usize> {
        let mut unnamed = BTreeMap::new();
        for container in self.containers() {
            if let Naming::Unnamed(reason) = container.naming {
                *unnamed.entry((container.runtime, reason)).or_default() += 1;
            }
        }
        unnamed
    }
}
