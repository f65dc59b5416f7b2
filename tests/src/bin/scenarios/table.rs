//! What a person reads.

use std::{fmt::Write as _, io::Write as _};

use anyhow::Result;

use crate::scenario::{Finding, Outcome, Scenario};

/// Writes to standard output.
pub(crate) fn print(text: &str) {
    // A reader that is gone has read enough.
    std::io::stdout().write_all(text.as_bytes()).ok();
}

/// Names and questions.
pub(crate) fn list(scenarios: &[&Scenario]) -> String {
    scenarios
        .iter()
        .map(|scenario| format!("{:<16} {}\n", scenario.name, scenario.question))
        .collect()
}

/// How one scenario ended.
pub(crate) fn one(scenario: &Scenario, outcome: &Outcome) -> String {
    let mut text = String::new();
    let (word, why) = match outcome {
        Outcome::Right(_) => ("right", None),
        Outcome::Wrong(_) => ("WRONG", None),
        Outcome::ExpectedFailure(why, _) => ("expected failure", Some((*why).to_owned())),
        Outcome::UnexpectedlyRight(_) => (
            "UNEXPECTEDLY RIGHT",
            Some("take it off the list of expected failures".to_owned()),
        ),
        Outcome::Skipped(why) => ("skipped", Some(why.clone())),
    };
    // Writing to a string does not fail.
    _ = writeln!(text, "{:<16} {word}", scenario.name);
    if let Some(why) = why {
        _ = writeln!(text, "    because    {why}");
    }
    match outcome {
        Outcome::Right(finding) | Outcome::UnexpectedlyRight(finding) => add(&mut text, finding),
        Outcome::Wrong(result) | Outcome::ExpectedFailure(_, result) => {
            add_result(&mut text, result)
        }
        Outcome::Skipped(_) => {}
    }
    text
}

fn add_result(text: &mut String, result: &Result<Finding>) {
    match result {
        Ok(finding) => add(text, finding),
        Err(error) => _ = writeln!(text, "    error      {error:#}"),
    }
}

fn add(text: &mut String, finding: &Finding) {
    _ = writeln!(text, "    nodeprobe  {}", finding.nodeprobe);
    _ = writeln!(text, "    oracle     {}", finding.oracle);
}

/// How many ended how.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let count = |is: fn(&Outcome) -> bool| outcomes.iter().filter(|it| is(it)).count();
    let expected = count(|it| matches!(it, Outcome::ExpectedFailure(..)));
    let passed = count(|it| matches!(it, Outcome::Right(_)));
    let failed = count(|it| !it.is_good());
    let skipped = count(|it| matches!(it, Outcome::Skipped(_)));
    format!("\n{expected} expected failures\n{passed} passed, {failed} failed, {skipped} skipped\n")
}
