//! Reports on standard output.

use std::io::{self, Write as _};

use crate::{
    cli::{
        CliError,
        args::{CommonArgs, OutputFormat},
        screen::look,
    },
    render::{
        Look, json,
        view::{Report, Row},
    },
};

/// Prints a report in the wanted format; `table` writes the one for people.
pub(in crate::cli) fn print<R: Row>(
    args: &CommonArgs,
    report: &Report<R>,
    table: impl FnOnce(&mut Vec<u8>, &Look) -> io::Result<()>,
) -> Result<(), CliError> {
    let mut text = Vec::new();
    match args.output {
        OutputFormat::Table => table(&mut text, &look())?,
        // Several objects are told apart by their lines.
        OutputFormat::Json if args.interval().is_some() => json::write_row(&mut text, report)?,
        OutputFormat::Json => json::write_json(&mut text, report)?,
        OutputFormat::Ndjson => json::write_ndjson(&mut text, report)?,
    }
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}
