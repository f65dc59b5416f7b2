//! Waiting for what happens sooner or later.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks until there is an answer.
///
/// # Panics
///
/// If there is none before the deadline; with what the last try said.
pub fn within<T>(
    seconds: u64,
    what: &str,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let answer = ask();
        if let Ok(Some(found)) = answer {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {seconds} s{}",
            answer
                .err()
                .map_or(String::new(), |error| format!("; {error:#}"))
        );
        thread::sleep(Duration::from_millis(250));
    }
}
