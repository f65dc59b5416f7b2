//! Waiting for something to become true.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// Long enough for anything that is not stuck, on a host that is ten times slower than a developer's for all the rest that it does.
pub const LONG: Duration = Duration::from_secs(120);

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
