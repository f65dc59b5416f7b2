//! Connections that have to be allowed, or not.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use probe_policy::{engine::Engine, model::Protocol, verdict::Word};
use serde::{Deserialize, Serialize};

use crate::cli::{CliError, policy::answer::Question};

/// A line of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    from: String,
    to: String,
    #[serde(default)]
    port: u16,
    protocol: Option<Protocol>,
    allowed: bool,
}

/// A connection that is not as expected.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Mismatch {
    /// Line of the file, from 1.
    pub(super) line: u64,
    #[serde(flatten)]
    pub(super) question: Question,
    /// Whether it should be allowed.
    pub(super) allowed: bool,
    /// What it is.
    pub(super) verdict: Word,
}

/// How many were compared, and those that differ.
///
/// # Errors
///
/// If the file cannot be read, or a line is none of these.
pub(super) fn compare(engine: &Engine, path: &Path) -> Result<(u64, Vec<Mismatch>), CliError> {
    let cannot = |error: io::Error| CliError::failure(format!("read {}: {error}", path.display()));
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let (mut compared, mut mismatches) = (0, Vec::new());
    for (line, text) in (1..).zip(text.map_err(cannot)?.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| CliError::usage(format!("{}:{line}: {why}", path.display()));
        let expected: Expected =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let question = Question {
            from: expected.from,
            to: expected.to,
            port: expected.port,
            protocol: expected.protocol.unwrap_or(Protocol::Tcp),
        };
        let verdict = engine
            .judge(&question.connection(engine).map_err(wrong)?)
            .combined;
        compared += 1;
        if verdict.allows() != Some(expected.allowed) {
            mismatches.push(Mismatch {
                line,
                question,
                allowed: expected.allowed,
                verdict,
            });
        }
    }
    Ok((compared, mismatches))
}
