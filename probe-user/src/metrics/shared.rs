//! A registry that the collector writes and scrapes read.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Budgets, Format, Registry, RenderError, expose};

/// A registry behind a lock; clones share it.
#[derive(Clone, Debug)]
pub struct SharedRegistry(Arc<Mutex<Registry>>);

impl SharedRegistry {
    /// See [`Registry::new`].
    pub fn new(node: &str, budgets: Budgets) -> Self {
        Self(Arc::new(Mutex::new(Registry::new(node, budgets))))
    }

    /// The registry, for as long as the guard lives; scrapes wait meanwhile. A panic of another holder leaves single
    /// values behind at worst, so the registry stays in use.
    pub fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything in one format. Takes milliseconds: not for an async task.
    ///
    /// # Errors
    ///
    /// If an encoder refuses; a bug, because what it gets does not depend on input.
    pub fn render(&self, format: Format, now: Instant) -> Result<Vec<u8>, RenderError> {
        self.lock().sweep(now);
        expose::render(self, format)
    }
}
