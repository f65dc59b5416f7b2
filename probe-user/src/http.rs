//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, and a page that lists them.
//!
//! Owns sockets, limits and negotiation. Speaks HTTP/1.1, and compresses metrics by gzip where the client accepts it. What is shown comes from a [`Backend`]. There is no TLS and no
//! authentication, which is why the default address is the loopback one.

mod bind;
mod encoding;
mod limits;
mod pages;
mod protocol;
mod refuse;
mod server;
mod service;

use bytes::Bytes;

pub use bind::{BindError, bind};
pub use limits::Limits;
pub use server::serve;

use crate::{metrics::Format, model::FeatureState};

/// What the server asks the agent for. Every method may be called from several threads at once.
pub trait Backend: Send + Sync + 'static {
    /// The metrics in one format, for a scrape. Called on a thread that may block; what it takes beyond
    /// [`Limits::render_timeout`] the client does not wait for.
    ///
    /// # Errors
    ///
    /// With the text that the client gets to see beside status 500.
    fn render(&self, format: Format) -> Result<Bytes, String>;

    /// The state of every probe; empty as long as it is not known. Must not block.
    fn probes(&self) -> Vec<ProbeStatus>;

    /// Lines for `/readyz` about what works with less, such as containers without a name; they do not change whether the agent is
    /// ready. Must not block.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// A request was answered with this status. Must not block.
    fn answered(&self, status: u16);

    /// A connection was refused or ended early. Must not block.
    fn dropped(&self, reason: Dropped);
}

/// A probe and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStatus {
    /// Its name.
    pub probe: &'static str,
    /// Its state. Everything but `On`, `Degraded` and `Off` keeps the agent from being ready.
    pub state: FeatureState,
}

/// Why a connection ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// There were [`Limits::connections`] others.
    OverLimit,
    /// The request, or the reading of the answer, took too long.
    Timeout,
    /// The connection broke.
    Io,
    /// The client speaks HTTP/2, which the server does not.
    Http2,
}

impl Dropped {
    /// The `reason` label.
    pub fn name(self) -> &'static str {
        match self {
            Self::OverLimit => "over_limit",
            Self::Timeout => "timeout",
            Self::Io => "io",
            Self::Http2 => "http2",
        }
    }
}

#[cfg(test)]
mod tests;
