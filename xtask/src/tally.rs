//! Counts tests from what the test programs print.
use std::fmt;

/// What became of the tests of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// As the test program counts them: a skipped test counts as passed there.
    passed: usize,
    pub(crate) failed: usize,
    /// `TEST: WHAT IS MISSING`
    pub(crate) skips: Vec<String>,
}

impl Tally {
    /// Reads one line: a summary `test result: ok. 3 passed; 1 failed; ...`, or `SKIP TEST: WHAT IS
    /// MISSING`.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some((_, counts)) = line.split_once("test result: ") {
            self.passed += number_before(counts, " passed");
            self.failed += number_before(counts, " failed");
        }
        // The name of the running test may stand before it, its `ok` after it.
        if let Some((_, skip)) = line.split_once("SKIP ")
            && skip.contains(": ")
        {
            self.skips
                .push(skip.trim_end_matches(" ... ok").trim().to_owned());
        }
    }

    pub(crate) fn passed_for_real(&self) -> usize {
        self.passed.saturating_sub(self.skips.len())
    }

    /// Whether something ran, and nothing failed.
    pub(crate) fn good(&self) -> bool {
        self.fault().is_none()
    }

    /// What is wrong with the run.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self { failed: 1.., .. } => Some("tests failed"),
            Self { passed: 0, .. } => Some("no test ran"),
            _ if self.passed_for_real() == 0 => Some("all tests were skipped"),
            _ => None,
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            passed,
            failed,
            skips,
        } = other;
        self.passed += passed;
        self.failed += failed;
        self.skips.extend(skips);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed_for_real(),
            self.failed,
            self.skips.len()
        )
    }
}

fn number_before(text: &str, word: &str) -> usize {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before
        .rsplit([' ', ';'])
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.line(line));
        tally
    }

    #[test]
    fn summaries_add_up() {
        let run = tally(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; \
             finished in 0.1s\ntest result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 \
             filtered out; finished in 0.1s\n",
        );
        assert_eq!(run.to_string(), "15 passed, 2 failed, 0 skipped");
        assert!(!run.good());
    }

    #[test]
    fn a_run_that_skipped_everything_is_not_good() {
        let run = tally(
            "test a ... SKIP a: no task storage\nok\ntest result: ok. 1 passed; 0 failed; 0 \
             ignored",
        );
        assert_eq!(run.skips, ["a: no task storage"]);
        assert!(!run.good());
    }

    #[test]
    fn a_run_without_tests_is_not_good() {
        assert!(!tally("test result: ok. 0 passed; 0 failed; 0 ignored").good());
        assert!(!tally("").good());
    }
}
