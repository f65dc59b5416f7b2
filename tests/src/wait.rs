//! Waiting for something to become true.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Long enough for anything that is not stuck, on a machine five times slower than a developer's.
pub const LONG: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
///
/// # Errors
///
/// If there is none after `limit`; `what` completes "waited in vain for".
pub fn poll<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if begin.elapsed() > limit {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
