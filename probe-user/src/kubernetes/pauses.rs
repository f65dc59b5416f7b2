//! How long to wait before a server is asked again that did not answer.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use kube::runtime::utils::Backoff;

/// The first pause; each is twice the one before.
const FIRST: Duration = Duration::from_millis(500);
/// The longest one, which becomes up to twice as long by chance: names and policies are to be right soon after an outage, and a thousand
/// agents are not to come back at the same moment.
const LONGEST: Duration = Duration::from_secs(8);

/// Pauses without an end.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        Some(pause + chance(pause))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Something from nothing up to a time. Each `RandomState` has other keys.
fn chance(up_to: Duration) -> Duration {
    let number = RandomState::new().build_hasher().finish();
    up_to.mul_f64(number as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        let mut pauses = Pauses::default();
        let all: Vec<_> = pauses.by_ref().take(12).collect();
        assert!((FIRST..=2 * FIRST).contains(&all[0]));
        assert!(
            all[5..]
                .iter()
                .all(|it| (LONGEST..=2 * LONGEST).contains(it)),
            "{all:?}"
        );
        pauses.reset();
        assert!(pauses.next().unwrap() <= 2 * FIRST);
    }
}
