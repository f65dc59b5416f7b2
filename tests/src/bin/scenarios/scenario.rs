//! What a scenario is, and what becomes of one.

use anyhow::{Error, Result};
use tests::Unavailable;

/// A problem, and the question that a user has about it.
pub(crate) struct Scenario {
    /// Short name.
    pub(crate) name: &'static str,
    /// What the user wants to know.
    pub(crate) question: &'static str,
    /// Why the answer is not there yet, where it is not.
    pub(crate) expected_failure: Option<&'static str>,
    /// Makes the problem and asks.
    pub(crate) run: fn() -> Result<Finding>,
}

/// What nodeprobe said, and what another source says.
#[derive(Debug)]
pub(crate) struct Finding {
    /// What nodeprobe named, in its own numbers.
    pub(crate) nodeprobe: String,
    /// The other source and what it says.
    pub(crate) oracle: String,
    /// Whether both say the same.
    pub(crate) agrees: bool,
}

/// How a scenario ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The answer is right.
    Right(Finding),
    /// It is not, or there is none.
    Wrong(Result<Finding>),
    /// It is not, and that was expected for this reason.
    ExpectedFailure(&'static str, Result<Finding>),
    /// It is right although it was not expected to be: the list of scenarios is out of date.
    UnexpectedlyRight(Finding),
    /// The host lacks something.
    Skipped(String),
}

impl Scenario {
    /// Runs it.
    pub(crate) fn run(&self) -> Outcome {
        let result = (self.run)();
        match (result, self.expected_failure) {
            (Err(error), _) if error.is::<Unavailable>() => Outcome::Skipped(skipped(&error)),
            (Ok(finding), None) if finding.agrees => Outcome::Right(finding),
            (Ok(finding), Some(_)) if finding.agrees => Outcome::UnexpectedlyRight(finding),
            (result, Some(why)) => Outcome::ExpectedFailure(why, result),
            (result, None) => Outcome::Wrong(result),
        }
    }
}

fn skipped(error: &Error) -> String {
    let reason = error.to_string();
    tests::skip::skip("scenario", &reason);
    reason
}

impl Outcome {
    /// Whether a run with it succeeds.
    pub(crate) fn is_good(&self) -> bool {
        !matches!(self, Self::Wrong(_) | Self::UnexpectedlyRight(_))
    }
}
