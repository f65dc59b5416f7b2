//! Many questions at once: a line of JSON each, and a line for each answer.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use probe_policy::engine::Engine;
use serde::Serialize;

use super::answer::{Answer, Question};
use crate::{
    cli::{CliError, Kind},
    render::{json, view::Row},
};

/// A question that has no answer.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Unanswered<'a> {
    /// Line of the file, from 1.
    line: u64,
    /// Why.
    error: &'a str,
}

impl Row for Unanswered<'_> {
    const TYPE: &'static str = "policy_explain_error";
}

/// Answers all questions of a file, and says how many have no answer.
///
/// # Errors
///
/// If the file cannot be read.
pub(super) fn run(engine: &Engine, path: &Path) -> Result<Kind, CliError> {
    let cannot = |error: io::Error| CliError::failure(format!("read {}: {error}", path.display()));
    let input: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(path).map_err(cannot)?))
    };
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let unanswered = answer(engine, input, &mut out).map_err(cannot)?;
    out.flush()?;
    if unanswered == 0 {
        return Ok(Kind::Fine);
    }
    let message = format!("{unanswered} of the questions have no answer; their lines say why");
    Err(CliError::failure(message))
}

fn answer(engine: &Engine, input: impl BufRead, out: &mut impl Write) -> io::Result<u64> {
    let mut unanswered = 0;
    for (line, text) in (1..).zip(input.lines()) {
        let text = text?;
        if text.trim().is_empty() {
            continue;
        }
        let question = serde_json::from_str::<Question>(&text).map_err(|error| error.to_string());
        let asked = question.and_then(|question| {
            let connection = question.connection(engine)?;
            Ok((question, engine.judge(&connection)))
        });
        match &asked {
            Ok((question, verdict)) => {
                json::write_row(&mut *out, &Answer::new(engine, question, verdict))?;
            }
            Err(error) => {
                unanswered += 1;
                json::write_row(&mut *out, &Unanswered { line, error })?;
            }
        }
    }
    Ok(unanswered)
}
