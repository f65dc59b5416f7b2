//! Limits of the calls to one runtime: how many at once, how long, and how soon after a failure.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::error::SourceError;

/// Calls to one runtime at the same time.
const MAX_CALLS: usize = 16;
/// Pause after the first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause. Well below the time that a container waits for its name, so that a runtime
/// that comes back is asked in time.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The way to one runtime.
#[derive(Debug)]
pub(super) struct Gate {
    calls: Semaphore,
    timeout: Duration,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    in_a_row: u32,
    closed_until: Option<Instant>,
}

impl Gate {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            calls: Semaphore::new(MAX_CALLS),
            timeout,
            failures: Mutex::default(),
        }
    }

    /// Makes a call when there is room for it, unless the runtime is broken.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        // The semaphore is never closed; without a permit the call is made all the same.
        let _permit = self.calls.acquire().await.ok();
        if self.is_closed(Instant::now()) {
            return Err(SourceError::BackingOff);
        }
        let result = tokio::time::timeout(self.timeout, call)
            .await
            .unwrap_or(Err(SourceError::Timeout));
        let broken = result.as_ref().is_err_and(SourceError::is_broken);
        self.record(broken, Instant::now());
        result
    }

    fn is_closed(&self, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.closed_until.is_some_and(|until| now < until)
    }

    fn record(&self, broken: bool, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if !broken {
            *failures = Failures::default();
            return;
        }
        failures.closed_until = Some(now + pause(failures.in_a_row));
        failures.in_a_row = failures.in_a_row.saturating_add(1);
    }
}

/// The pause after this many failures in a row.
pub(super) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hanging_runtime_is_left_alone_for_a_while() {
        let gate = Gate::new(Duration::from_millis(1));
        let hanging = gate.call(std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(hanging, Err(SourceError::Timeout)));
        assert!(gate.failures.lock().unwrap().closed_until.is_some());
        // As if it had failed in an hour: the pause is not over by then, however slow the host is.
        gate.record(true, Instant::now() + Duration::from_secs(3600));
        let second = gate.call(async { Ok(()) }).await;
        assert!(matches!(second, Err(SourceError::BackingOff)));
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_a_success() {
        let gate = Gate::new(Duration::from_secs(1));
        let now = Instant::now();
        gate.record(true, now);
        assert!(gate.is_closed(now + Duration::from_millis(49)));
        assert!(!gate.is_closed(now + Duration::from_millis(50)));
        gate.record(true, now);
        assert!(gate.is_closed(now + Duration::from_millis(99)));
        gate.record(false, now);
        assert!(!gate.is_closed(now));
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }

    #[tokio::test]
    async fn an_unknown_container_is_no_failure_of_the_runtime() {
        let gate = Gate::new(Duration::from_secs(60));
        for _ in 0..3 {
            let answer = gate.call::<()>(async { Err(SourceError::NotFound) }).await;
            assert!(matches!(answer, Err(SourceError::NotFound)));
        }
    }
}
