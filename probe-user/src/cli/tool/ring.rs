//! Waiting for a ring that fills, beside timers and signals.

use std::{
    future, io,
    os::fd::{BorrowedFd, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// A ring whose programs wake who waits for it, or none.
pub(super) struct Ring(Option<AsyncFd<OwnedFd>>);

impl Ring {
    /// Watches a ring. Called inside a runtime.
    pub(super) fn watch(ring: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let watch = |ring: BorrowedFd<'_>| {
            let ring = ring.try_clone_to_owned()?;
            // SAFETY: the descriptor is open for as long as its owner, which goes into what is made here, and always the same.
            unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
                .map_err(io::Error::from)
        };
        ring.map(watch).transpose().map(Self)
    }

    /// Ends when the ring has to be read, or never.
    pub(super) async fn fills(&self) {
        match &self.0 {
            Some(ring) => match ring.readable().await {
                // The next time counts again.
                Ok(mut guard) => guard.clear_ready(),
                Err(_) => future::pending().await,
            },
            None => future::pending().await,
        }
    }
}
