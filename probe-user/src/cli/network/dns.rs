//! `nodeprobe dns`: which names are looked up, and what the answers are.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    time::{Duration, SystemTime},
};

use ipnet::IpNet;

use super::{
    follow::{self, LookupPrinter},
    held::Held,
    settings,
};
use crate::{
    cli::{
        CliError, Kind,
        args::{CommonArgs, DnsArgs, DnsBy, OutputFormat},
        tool::{Job, Needs, Period, Processes, Tool, print},
    },
    flows::WallClock,
    identity::Identities,
    kernel::clock::monotonic,
    model::{Lookup, LookupEvent, Measurements, OwnerKind},
    probes::Latency,
    render::{
        footer, json,
        network::write_dns,
        view::{By, DnsOrder, DnsView},
    },
    report::{Filter, LookupBook, lookup_view},
    session::{Enabled, FlowEvent, FlowSettings},
};

/// Runs the command.
///
/// # Errors
///
/// If the probe cannot be attached or nothing can be written.
pub(in crate::cli) fn run(args: &DnsArgs) -> Result<Kind, CliError> {
    follow::check(args.follow, &args.common)?;
    let by = match args.by {
        DnsBy::Name => By::Name,
        DnsBy::Container => By::Container,
        DnsBy::Server => By::Server,
    };
    let mut tool = Tool::start_with(
        "dns",
        Needs {
            probes: HashMap::from([("flows", Enabled::Always)]),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: Some(FlowSettings {
                lookup_timeout: args.timeout,
                ..settings(&args.common)
            }),
            translate: false,
        },
    )?;
    let job = Dns {
        args: &args.common,
        order: args.sort,
        filter: tool.filter(&args.common, Processes::default()),
        servers: &args.server,
        other_servers: 0,
        book: LookupBook::new(by),
        held: Held::new(),
        printer: follow::is_wanted(args.follow, &args.common)
            .then(LookupPrinter::start)
            .transpose()?,
        clock: WallClock::new(monotonic(), SystemTime::now()),
    };
    tool.strict(args.strict.strict)
        .run_job(&args.common, by, job)
}

struct Dns<'a> {
    args: &'a CommonArgs,
    order: DnsOrder,
    filter: Filter,
    /// Networks of the servers that are meant; none for all.
    servers: &'a [IpNet],
    /// Answers of others in this period.
    other_servers: u64,
    book: LookupBook,
    /// Look-ups that wait for a stream.
    held: Held<Lookup>,
    /// Prints them for people.
    printer: Option<LookupPrinter>,
    clock: WallClock,
}

impl Dns<'_> {
    fn is_meant(&self, lookup: &Lookup) -> bool {
        let server = lookup.server.to_canonical();
        self.servers.is_empty() || self.servers.iter().any(|it| it.contains(&server))
    }

    fn is_stream(&self) -> bool {
        self.args.output == OutputFormat::Ndjson || self.printer.is_some()
    }

    fn write(&self, lookups: Vec<Lookup>, identities: &Identities) -> Result<(), CliError> {
        let views = lookups.into_iter().filter_map(|lookup| {
            let time = self.clock.at(lookup.time);
            lookup_view(lookup, time, identities, &self.filter)
        });
        let views: Vec<_> = views.collect();
        if let Some(printer) = &self.printer {
            return printer.write(&views);
        }
        let mut text = Vec::new();
        for view in &views {
            json::write_row(&mut text, view)?;
        }
        let mut out = io::stdout().lock();
        out.write_all(&text)?;
        Ok(out.flush()?)
    }
}

impl Job for Dns<'_> {
    fn follow(
        &mut self,
        events: Vec<FlowEvent>,
        now: Duration,
        identities: &Identities,
    ) -> Result<(), CliError> {
        for event in events {
            let FlowEvent::Lookup(event) = event else {
                continue;
            };
            let (LookupEvent::Asked(lookup)
            | LookupEvent::Ended(lookup)
            | LookupEvent::Forgotten(lookup)) = &event;
            if !self.is_meant(lookup) {
                let is_answer = matches!(&event, LookupEvent::Ended(it) if it.rcode.is_some());
                self.other_servers += u64::from(is_answer);
            } else if !self.is_stream() {
                self.book.add(event);
            } else if let LookupEvent::Ended(lookup) = event {
                self.held.push(now, lookup.cgroup, lookup);
            }
        }
        if self.is_stream() {
            self.clock.follow(now, SystemTime::now());
            let due = std::iter::from_fn(|| self.held.pop(now, identities));
            let due: Vec<Lookup> = due.map(|(_, lookup)| lookup).collect();
            self.write(due, identities)?;
        }
        Ok(())
    }

    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn awaits_names(&self, _: &Measurements, identities: &Identities, is_last: bool) -> bool {
        if self.is_stream() {
            is_last && self.held.awaits_names(identities)
        } else {
            self.book.awaits_names(identities, &self.filter)
        }
    }

    fn show(&mut self, mut period: Period<'_>) -> Result<(), CliError> {
        if self.is_stream() {
            let rest = std::iter::from_fn(|| self.held.pop_any());
            let rest: Vec<Lookup> = rest.map(|(_, lookup)| lookup).collect();
            self.write(rest, period.identities)?;
            if period.is_last {
                let report = period.end_of_stream::<DnsView>();
                print(self.args, &report, |out, look| {
                    footer(out, &report.summary, look)
                })?;
            }
            return Ok(());
        }
        let counted: u64 = period
            .measurements
            .answers
            .iter()
            .map(|row| row.count)
            .sum();
        let missing = counted.saturating_sub(self.book.answers() + self.other_servers);
        self.other_servers = 0;
        if missing > 0 {
            period.note(format!(
                "{missing} more answers were counted in the kernel, whose messages were not read, or not yet"
            ));
        }
        let mut rows = self.book.rows(period.identities, &self.filter);
        rows.sort_by(|a, b| self.order.compare(a, b));
        self.book.next_period();
        let report = period.report(rows);
        print(self.args, &report, |out, look| {
            write_dns(out, &report, self.args.limit(), look)
        })
    }
}
