//! What a check found, for people and for programs.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use layout::{
    backends::svg::SVGWriter,
    gv::{DotParser, GraphBuilder},
};
use probe_policy::{engine::Matrix, report::word_of};

use super::Found;
use crate::{
    cli::{CliError, args::CheckFormat, print as out, screen::look},
    render::{
        Charset, Look, json,
        sheet::{Column, Sheet},
        text::safe,
    },
};

/// Pairs that are shown of a matrix.
const PAIRS: usize = 200;
/// Workloads that are drawn at most.
const DRAWN: usize = 200;

pub(super) fn print(format: CheckFormat, found: &Found) -> Result<(), CliError> {
    let text = match format {
        CheckFormat::Table => String::from_utf8_lossy(&table(found, &look())?).into_owned(),
        CheckFormat::Json => {
            let mut text = Vec::new();
            json::write_json(&mut text, found)?;
            String::from_utf8_lossy(&text).into_owned()
        }
        CheckFormat::Dot => dot(&found.matrix),
        CheckFormat::Svg => svg(&found.matrix)?,
    };
    Ok(out(&text)?)
}

fn table(found: &Found, look: &Look) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let safe = |text: &str| safe(text, look.charset);
    for problem in &found.problems {
        let field = if problem.field.is_empty() {
            String::new()
        } else {
            format!(" {}", problem.field)
        };
        writeln!(
            out,
            "{}: {}{field}: {}",
            word_of(&problem.doubt).replace('_', " "),
            safe(&problem.object),
            safe(&problem.message)
        )?;
    }
    for mismatch in &found.mismatches {
        let question = &mismatch.question;
        writeln!(
            out,
            "not as expected: line {}: {} to {}, {} {}: {}, and should {}be allowed",
            mismatch.line,
            safe(&question.from),
            safe(&question.to),
            question.protocol,
            question.port,
            word_of(&mismatch.verdict),
            if mismatch.allowed { "" } else { "not " }
        )?;
    }
    if found.expected > 0 {
        let right = found.expected - found.mismatches.len() as u64;
        writeln!(
            out,
            "{right} of {} connections are as expected",
            found.expected
        )?;
    }
    if found.problems.is_empty() {
        writeln!(out, "nothing is doubtful")?;
    }
    pairs(&mut out, &found.matrix, look)?;
    Ok(out)
}

fn pairs(out: &mut Vec<u8>, matrix: &Matrix, look: &Look) -> io::Result<()> {
    let open: Vec<_> = matrix.cells.iter().filter(|cell| cell.is_open()).collect();
    let closed = matrix.cells.len() - open.len();
    if matrix.cells.is_empty() {
        return Ok(());
    }
    if !open.is_empty() {
        let mut sheet = Sheet::new(vec![
            Column::name("FROM", 12, 0),
            Column::name("TO", 12, 0),
            Column::list("MAY REACH", 20, 0),
        ]);
        for cell in open.iter().take(PAIRS) {
            let cells = [&cell.from, &cell.to, &cell.describe()];
            sheet.push(cells.map(|text| safe(text, look.charset)).into());
        }
        writeln!(out)?;
        sheet.write(out, look)?;
    }
    if open.len() > PAIRS {
        writeln!(
            out,
            "and {} more pairs; `-o json` has all",
            open.len() - PAIRS
        )?;
    }
    let all = matrix.cells.len();
    writeln!(out, "{closed} of {all} pairs may not talk at all")
}

/// The graph as a picture.
fn svg(matrix: &Matrix) -> Result<String, CliError> {
    let workloads = matrix.workloads.len();
    if workloads > DRAWN {
        let message =
            format!("{workloads} workloads are too many for a picture of at most {DRAWN}");
        return Err(CliError::failure(message)
            .with_remedy("`-o dot` is for tools that draw large graphs, `-o json` has all"));
    }
    let mut parser = DotParser::new(&dot(matrix));
    let graph = parser.process().map_err(|error| {
        CliError::failure(format!(
            "the graph cannot be drawn, please report it: {error}"
        ))
    })?;
    let mut builder = GraphBuilder::new();
    builder.visit_graph(&graph);
    let mut writer = SVGWriter::new();
    builder.get().do_it(false, false, false, &mut writer);
    Ok(writer.finalize())
}

/// Arrows of all that may pass.
fn dot(matrix: &Matrix) -> String {
    let quoted = |text: &str| {
        let text = safe(text, Charset::Unicode);
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let mut text = String::from("digraph reach {\n  rankdir=LR;\n  node [shape=box];\n");
    // Writing to a string cannot fail.
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
