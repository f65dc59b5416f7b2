//! What a client may cost.

use std::time::Duration;

/// Bounds of the server. The defaults suit a scraper and a few curious people.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time; the next ones get status 503.
    pub connections: usize,
    /// From the first byte of a connection, or the end of the response before, to the end of the request's head. The first
    /// byte has the same time. A scraper that comes back later opens another connection.
    pub head_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Age at which a connection ends after the answer that is under way.
    pub connection_age: Duration,
    /// How long a connection that has to end may take to send its last answer.
    pub drain_timeout: Duration,
    /// How long a client waits for the metrics before it gets status 503.
    pub render_timeout: Duration,
    /// Renderings at a time. One that hangs keeps its place, so that threads do not pile up behind it.
    pub renders: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head_timeout: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            headers: 64,
            connection_age: Duration::from_secs(300),
            drain_timeout: Duration::from_secs(10),
            render_timeout: Duration::from_secs(10),
            renders: 4,
        }
    }
}
