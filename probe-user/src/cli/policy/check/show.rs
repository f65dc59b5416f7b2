//! What a check found, for people and for programs.

use std::fmt::Write as _;

use probe_policy::{
    engine::{Cell, Matrix},
    report::word_of,
};

use super::Found;
use crate::cli::{CliError, args::CheckFormat, print as out};

/// Pairs that are shown of a matrix.
const PAIRS: usize = 200;

pub(super) fn print(format: CheckFormat, found: &Found) -> Result<(), CliError> {
    let text = match format {
        CheckFormat::Table => table(found),
        CheckFormat::Json => serde_json::to_string_pretty(found).map_err(CliError::failure)? + "\n",
        CheckFormat::Dot => dot(&found.matrix),
    };
    Ok(out(&text)?)
}

fn table(found: &Found) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail, here and below.
    for problem in &found.problems {
        let field = if problem.field.is_empty() {
            String::new()
        } else {
            format!(" {}", problem.field)
        };
        let _written = writeln!(
            text,
            "{}: {}{field}: {}",
            word_of(&problem.doubt).replace('_', " "),
            problem.object,
            problem.message
        );
    }
    for mismatch in &found.mismatches {
        let question = &mismatch.question;
        let _written = writeln!(
            text,
            "not as expected: line {}: {} to {}, {} {}: {}, and should {}be allowed",
            mismatch.line,
            question.from,
            question.to,
            question.protocol,
            question.port,
            word_of(&mismatch.verdict),
            if mismatch.allowed { "" } else { "not " }
        );
    }
    if found.expected > 0 {
        let right = found.expected - found.mismatches.len() as u64;
        let _written = writeln!(
            text,
            "{right} of {} connections are as expected",
            found.expected
        );
    }
    if found.problems.is_empty() {
        text.push_str("nothing is doubtful\n");
    }
    pairs(&mut text, &found.matrix);
    text
}

fn pairs(text: &mut String, matrix: &Matrix) {
    let open: Vec<_> = matrix.cells.iter().filter(|cell| cell.is_open()).collect();
    let closed = matrix.cells.len() - open.len();
    if matrix.cells.is_empty() {
        return;
    }
    let widest = |name: fn(&Cell) -> &str, least: usize| {
        open.iter()
            .map(|cell| name(cell).chars().count())
            .chain([least])
            .max()
            .unwrap_or(least)
    };
    let (from, to) = (widest(|cell| &cell.from, 4), widest(|cell| &cell.to, 2));
    if !open.is_empty() {
        let _written = writeln!(text, "\n{:from$}  {:to$}  MAY REACH", "FROM", "TO");
    }
    for cell in open.iter().take(PAIRS) {
        let _written = writeln!(
            text,
            "{:from$}  {:to$}  {}",
            cell.from,
            cell.to,
            cell.describe()
        );
    }
    if open.len() > PAIRS {
        let _written = writeln!(
            text,
            "and {} more pairs; `-o json` has all",
            open.len() - PAIRS
        );
    }
    let _written = writeln!(
        text,
        "{closed} of {} pairs may not talk at all",
        matrix.cells.len()
    );
}

/// Arrows of all that may pass. Names have no characters that would have to be escaped but may be anything in a broken manifest.
fn dot(matrix: &Matrix) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = String::from("digraph reach {\n  rankdir=LR;\n  node [shape=box];\n");
    for workload in &matrix.workloads {
        let _written = writeln!(text, "  {};", quoted(workload));
    }
    for cell in matrix.cells.iter().filter(|cell| cell.is_open()) {
        let _written = writeln!(
            text,
            "  {} -> {} [label={}];",
            quoted(&cell.from),
            quoted(&cell.to),
            quoted(&cell.describe())
        );
    }
    text + "}\n"
}
