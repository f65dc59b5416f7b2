//! `nodeprobe flows`: who talks with whom.

use std::{collections::HashMap, time::Duration};

use super::{
    follow::{self, FlowPrinter},
    held::Held,
    log::Stream,
    settings,
};
use crate::{
    cli::{
        CliError, Kind,
        args::{
            CommonArgs, FlowsArgs, FlowsBy, NarrowArgs, OutputFormat, ProcessArgs, StrictArgs,
            TcpArgs,
        },
        tool::{Job, Needs, Period, Processes, Tool, print},
    },
    identity::Identities,
    model::{Measurements, OwnerKind, Transport},
    probes::Latency,
    render::{
        footer,
        network::write_flows,
        view::{By, FlowOrder, FlowView},
    },
    report::{Counted, Filter, FlowBook, Seen},
    session::{Enabled, FlowEvent, FlowReport, Parties},
};

/// Rows of a table, unless the operator says how many.
const ROWS: u32 = 50;

/// Runs the command.
///
/// # Errors
///
/// If the probes cannot be attached or nothing can be written.
pub(in crate::cli) fn run(args: &FlowsArgs) -> Result<Kind, CliError> {
    let by = match args.by {
        FlowsBy::Flow => By::Flow,
        FlowsBy::Peer => By::Peer,
        FlowsBy::Container => By::Container,
    };
    measure(&Request {
        name: "flows",
        common: &args.common,
        process: &args.process,
        strict: args.strict,
        transports: &args.transport,
        narrow: &args.narrow,
        by,
        order: args.sort,
        follow: args.follow,
    })
}

/// Prints TCP connections as they begin, go on and end.
pub(super) fn follow_tcp(args: &TcpArgs) -> Result<Kind, CliError> {
    measure(&Request {
        name: "tcp",
        common: &args.common,
        process: &args.process.0,
        strict: args.strict,
        transports: &[Transport::TCP],
        narrow: &args.narrow.0,
        by: By::Connection,
        order: FlowOrder::Bytes,
        follow: true,
    })
}

/// What is shown.
struct Request<'a> {
    name: &'static str,
    common: &'a CommonArgs,
    process: &'a ProcessArgs,
    strict: StrictArgs,
    transports: &'a [Transport],
    narrow: &'a NarrowArgs,
    by: By,
    order: FlowOrder,
    /// Each event in a line.
    follow: bool,
}

fn measure(request: &Request<'_>) -> Result<Kind, CliError> {
    let Request {
        name,
        common: args,
        transports,
        by,
        order,
        follow,
        ..
    } = *request;
    follow::check(follow, args)?;
    let processes = Processes::find(&request.process.pid)?;
    let mut tool = Tool::start_with(
        name,
        Needs {
            probes: probes(transports),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: Some(settings(args)),
            // Rows show addresses as the sockets see them.
            translate: args.output == OutputFormat::Ndjson,
        },
    )?;
    let mut common = args.clone();
    common.limit.get_or_insert(ROWS);
    let job = Flows {
        by,
        order,
        filter: Filter {
            flows: request.narrow.rules(transports),
            ..tool.filter(&common, processes)
        },
        book: FlowBook::default(),
        held: Held::new(),
        stream: match common.output {
            OutputFormat::Ndjson => Some(Stream::start(name)?),
            OutputFormat::Table | OutputFormat::Json => None,
        },
        printer: follow::is_wanted(follow, &common)
            .then(FlowPrinter::start)
            .transpose()?,
        args: &common,
    };
    tool.strict(request.strict.strict).run_job(&common, by, job)
}

/// Connections need one probe and datagrams another; the latter also knows names.
fn probes(transports: &[Transport]) -> HashMap<&'static str, Enabled> {
    let all = transports.is_empty();
    let tcp = all || transports.contains(&Transport::TCP);
    let datagrams = all || transports.iter().any(|it| *it != Transport::TCP);
    HashMap::from([
        ("tcp", if tcp { Enabled::Always } else { Enabled::Never }),
        (
            "flows",
            if datagrams {
                Enabled::Always
            } else {
                Enabled::Auto
            },
        ),
    ])
}

struct Flows<'a> {
    args: &'a CommonArgs,
    by: By,
    order: FlowOrder,
    filter: Filter,
    book: FlowBook,
    /// Events that wait for a stream.
    held: Held<Box<FlowReport>>,
    stream: Option<Stream>,
    /// Prints them for people.
    printer: Option<FlowPrinter>,
}

impl Flows<'_> {
    fn write(&self, stream: &Stream, report: &FlowReport, at: Duration, identities: &Identities) {
        let parties = Parties::of(report, identities, None);
        if self
            .filter
            .admits_flow(&report.flow, parties.local(), parties.remote())
        {
            stream.write(&parties.observed(report, at));
        }
    }
}

impl Job for Flows<'_> {
    fn follow(
        &mut self,
        events: Vec<FlowEvent>,
        now: Duration,
        identities: &Identities,
    ) -> Result<(), CliError> {
        for event in events {
            match event {
                FlowEvent::Flow(report) if self.filter.flows.may_admit(&report.flow) => {
                    if self.stream.is_some() || self.printer.is_some() {
                        self.held.push(now, report.flow.cgroup, report);
                    } else {
                        self.book.add(seen(*report));
                    }
                }
                FlowEvent::Flow(_) | FlowEvent::Lookup(_) => {}
            }
        }
        if let Some(stream) = self.stream.take() {
            let checked = stream.check();
            while let Some((at, report)) = self.held.pop(now, identities) {
                self.write(&stream, &report, at, identities);
            }
            self.stream = Some(stream);
            checked?;
        }
        if let Some(printer) = &mut self.printer {
            while let Some((at, report)) = self.held.pop(now, identities) {
                printer.write(*report, at, identities, &self.filter)?;
            }
        }
        Ok(())
    }

    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn awaits_names(&self, _: &Measurements, identities: &Identities, is_last: bool) -> bool {
        if self.stream.is_some() || self.printer.is_some() {
            is_last && self.held.awaits_names(identities)
        } else {
            let counted = Counted::Period;
            self.book.awaits_names(identities, counted, &self.filter)
        }
    }

    fn show(&mut self, mut period: Period<'_>) -> Result<(), CliError> {
        if let Some(stream) = self.stream.take() {
            while let Some((at, report)) = self.held.pop_any() {
                self.write(&stream, &report, at, period.identities);
            }
            if period.is_last {
                period.lost("flow/queue/not_written", stream.finish());
                print(
                    self.args,
                    &period.end_of_stream::<FlowView>(),
                    |_, _| Ok(()),
                )?;
            }
            self.stream = Some(stream);
            return Ok(());
        }
        if let Some(printer) = &mut self.printer {
            while let Some((at, report)) = self.held.pop_any() {
                printer.write(*report, at, period.identities, &self.filter)?;
            }
            untracked(&mut period);
            let report = period.end_of_stream::<FlowView>();
            return print(self.args, &report, |out, look| {
                footer(out, &report.summary, look)
            });
        }
        let mut found = self
            .book
            .rows(period.identities, self.by, Counted::Period, &self.filter);
        found.rows.sort_by(|a, b| self.order.compare(a, b));
        self.book.next_period();
        untracked(&mut period);
        found.notes.into_iter().for_each(|note| period.note(note));
        let report = period.report(found.rows);
        print(self.args, &report, |out, look| {
            write_flows(out, &report, self.args.limit(), look)
        })
    }
}

/// What to remember of what was told of a flow.
pub(super) fn seen(report: FlowReport) -> Seen {
    Seen {
        flow: report.flow,
        interval: report.interval,
        peer: report.peer.map(|peer| peer.cgroup),
    }
}

/// Says what the kernel side counted and no row has.
fn untracked(period: &mut Period<'_>) {
    let packets = period.measurements.untracked.iter().map(|row| {
        let counters = row.counters;
        counters.packets_sent + counters.packets_received
    });
    let packets: u64 = packets.sum();
    if packets > 0 {
        period.note(format!(
            "the kernel side's table of flows was full: {packets} packets of this host's containers are in no row"
        ));
    }
    let malformed = period.measurements.seen.map_or(0, |seen| seen.malformed);
    if malformed > 0 {
        period.note(format!(
            "{malformed} packets had headers that make no sense and are in no row"
        ));
    }
}
