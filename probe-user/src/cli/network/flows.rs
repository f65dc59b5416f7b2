//! `nodeprobe flows`: who talks with whom.

use std::{collections::HashMap, time::Duration};

use super::{held::Held, log::Stream, settings};
use crate::{
    cli::{
        CliError, Kind,
        args::{CommonArgs, FlowsArgs, FlowsBy, OutputFormat},
        tool::{Job, Needs, Period, Tool, filter, print},
    },
    identity::Identities,
    model::{OwnerKind, Transport},
    probes::Latency,
    render::{
        network::write_flows,
        view::{By, FlowView},
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
    let tool = Tool::start_with(
        "flows",
        Needs {
            probes: probes(&args.transport),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: Some(settings(&args.common)),
            // Rows show addresses as the sockets see them.
            translate: args.common.output == OutputFormat::Ndjson,
        },
    )?;
    let mut common = args.common.clone();
    common.top.get_or_insert(ROWS);
    let job = Flows {
        by,
        filter: Filter {
            flows: args.narrow.rules(&args.transport),
            ..filter(&common)
        },
        book: FlowBook::default(),
        held: Held::new(),
        stream: match common.output {
            OutputFormat::Ndjson => Some(Stream::start("flows")?),
            OutputFormat::Table | OutputFormat::Json => None,
        },
        args: &common,
    };
    tool.run_job(&common, by, job)?;
    Ok(Kind::Fine)
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
    filter: Filter,
    book: FlowBook,
    /// Events that wait for a stream.
    held: Held<Box<FlowReport>>,
    stream: Option<Stream>,
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
                    if self.stream.is_some() {
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
        Ok(())
    }

    fn show(&mut self, mut period: Period<'_>) -> Result<(), CliError> {
        if let Some(stream) = self.stream.take() {
            while let Some((at, report)) = self.held.pop_any() {
                self.write(&stream, &report, at, period.identities);
            }
            if period.is_last {
                period.lost("flow/queue/not_written", stream.finish());
                print(self.args, &period.report::<FlowView>(Vec::new()), |_, _| {
                    Ok(())
                })?;
            }
            self.stream = Some(stream);
            return Ok(());
        }
        let found = self
            .book
            .rows(period.identities, self.by, Counted::Period, &self.filter);
        self.book.next_period();
        untracked(&mut period);
        found.notes.into_iter().for_each(|note| period.note(note));
        let report = period.report(found.rows);
        let top = self.args.top.map(|top| top as usize);
        print(self.args, &report, |out, look| {
            write_flows(out, &report, top, look)
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
