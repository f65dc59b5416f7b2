//! Flows and DNS lookups as they happen, a line each, for people.

use std::{
    io::{self, Write as _},
    time::{Duration, SystemTime},
};

use crate::{
    cli::{
        CliError,
        args::{CommonArgs, OutputFormat},
        screen::look,
    },
    flows::WallClock,
    identity::Identities,
    kernel::clock::monotonic,
    render::{
        network::{FlowLine, FlowLines, LookupLines},
        view::LookupView,
    },
    report::{Filter, flow_row},
    session::FlowReport,
};

use super::flows::seen;

/// Refuses `--follow` where there is one object at the end.
pub(super) fn check(follow: bool, args: &CommonArgs) -> Result<(), CliError> {
    if follow && args.output == OutputFormat::Json {
        let message = "--follow prints a line an event, and -o json one object at the end";
        return Err(CliError::usage(message).with_remedy("use `-o ndjson` for programs"));
    }
    Ok(())
}

/// Whether events are printed as columns.
pub(super) fn is_wanted(follow: bool, args: &CommonArgs) -> bool {
    follow && args.output == OutputFormat::Table
}

/// Prints flows.
pub(super) struct FlowPrinter {
    lines: FlowLines,
    clock: WallClock,
}

impl FlowPrinter {
    /// Prints the titles of the columns.
    pub(super) fn start() -> Result<Self, CliError> {
        let lines = FlowLines::new(look());
        print(|out| lines.titles(out))?;
        Ok(Self {
            lines,
            clock: WallClock::new(monotonic(), SystemTime::now()),
        })
    }

    /// Prints what happened to a flow at the monotonic time `at`.
    pub(super) fn write(
        &mut self,
        report: FlowReport,
        at: Duration,
        identities: &Identities,
        filter: &Filter,
    ) -> Result<(), CliError> {
        self.clock.follow(monotonic(), SystemTime::now());
        let (event, start) = (report.event.name(), report.flow.start);
        let end = report.flow.end.map_or(at, |end| end.at);
        let Some(flow) = flow_row(seen(report), identities, filter) else {
            return Ok(());
        };
        let line = FlowLine {
            time: self.clock.at(at),
            event,
            flow,
            lasted: end.saturating_sub(start),
        };
        print(|out| self.lines.line(out, &line))
    }
}

/// Prints DNS lookups.
pub(super) struct LookupPrinter(LookupLines);

impl LookupPrinter {
    /// Prints the titles of the columns.
    pub(super) fn start() -> Result<Self, CliError> {
        let lines = LookupLines::new(look());
        print(|out| lines.titles(out))?;
        Ok(Self(lines))
    }

    /// Prints lookups.
    pub(super) fn write(&self, lookups: &[LookupView]) -> Result<(), CliError> {
        print(|out| lookups.iter().try_for_each(|it| self.0.line(out, it)))
    }
}

fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), CliError> {
    let mut text = Vec::new();
    write(&mut text)?;
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}
