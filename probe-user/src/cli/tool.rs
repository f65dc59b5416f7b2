//! What the one-shot tools share: attach, measure until the time is up or Ctrl-C, show, detach.

use std::{
    collections::HashMap,
    future,
    io::{self, Write},
    mem,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{
    CliError,
    args::{CommonArgs, OutputFormat},
    output,
};
use crate::{
    config,
    identity::{Identities, Limits, Pattern, resolver},
    kernel::{Roots, capabilities_for_map_reads},
    limits,
    logs::chain,
    model::{Departed, Measurements, OwnerKind},
    privileges::{self, Task},
    probes::Latency,
    render::{
        Charset, Look, json,
        view::{By, Report, Row, Summary, lost_map},
    },
    report::Filter,
    session::{Enabled, Plan, Session, StartError},
};

/// How long to wait for names when the measurement is over.
const NAMES_WITHIN: Duration = Duration::from_secs(2);

/// How often the counters of removed containers are freed during a measurement.
const ROOM_EVERY: Duration = Duration::from_secs(10);

/// Longer than any measurement, and short enough to be added to a point in time.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A tool that measures.
pub(super) struct Tool {
    name: &'static str,
    session: Session,
    runtime: Runtime,
}

/// One period of measuring.
pub(super) struct Period<'a> {
    /// What was counted in it.
    pub(super) measurements: &'a Measurements,
    /// Who the owners are.
    pub(super) identities: &'a Identities,
    summary: Summary,
}

impl Period<'_> {
    /// The findings with these rows.
    pub(super) fn report<R>(self, rows: Vec<R>) -> Report<R> {
        Report {
            summary: self.summary,
            rows,
        }
    }
}

impl Tool {
    /// Attaches one probe, and the one that follows containers.
    pub(super) fn start(
        name: &'static str,
        probe: &'static str,
        owners: OwnerKind,
        latency: Latency,
    ) -> Result<Self, CliError> {
        privileges::check(&[Task::Probes])?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let plan = Plan {
            dns: true,
            flow_sampling: 1,
            max_flows: limits::FLOWS,
            max_connections: limits::CONNECTIONS,
            roots: Roots::default(),
            probes: HashMap::from([("lifecycle", Enabled::Auto), (probe, Enabled::Always)]),
            owners,
            latency,
            kernel_memory: limits::KERNEL_MEMORY,
            max_owners: match owners {
                OwnerKind::Cgroup => limits::OWNERS,
                OwnerKind::Process => limits::PROCESSES,
            },
            limits: Limits {
                // A removed container is shown at the end, however long that takes.
                retention: FOR_GOOD,
                ..Limits::default()
            },
            debug: false,
        };
        let mut session = Session::start(&plan)?;
        let_go();
        session.follow()?;
        Ok(Self {
            name,
            session,
            runtime,
        })
    }

    /// Measures as the arguments say and shows each period.
    pub(super) fn run(
        self,
        args: &CommonArgs,
        by: By,
        mut show: impl FnMut(Period<'_>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let Self {
            name,
            session,
            runtime,
        } = self;
        runtime.block_on(async {
            let identities = session.identities().clone();
            let runtimes = resolver::Config::from(&config::Config::default().runtimes);
            tokio::spawn(resolver::run(
                identities.clone(),
                runtimes,
                future::pending(),
            ));
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            announce(name, args.duration);

            let start = Instant::now();
            let end = args.duration.map(|duration| start + duration);
            let mut earlier = Measurements::default();
            let mut departed = Departed::default();
            let mut period_start = (start, SystemTime::now());
            let mut done = false;
            while !done {
                let now = Instant::now();
                let rest = end.map(|end| end.saturating_duration_since(now));
                let (wait, is_last) = match (args.interval, rest) {
                    (Some(interval), Some(rest)) if interval < rest => (Some(interval), false),
                    (Some(interval), None) => (Some(interval), false),
                    (_, rest) => (rest, true),
                };
                done = is_last;
                tokio::select! {
                    () = pause(wait, || {
                        session.tend();
                        departed.keep(&session.measure(), &session.release());
                    }) => {}
                    _ = interrupt.recv() => done = true,
                    _ = terminate.recv() => done = true,
                }
                session.tend();
                let mut measurements = session.measure();
                let total = mem::take(&mut departed).with(&measurements);
                measurements.forget(&session.release());
                let duration = period_start.0.elapsed();
                resolver::resolve_now(&identities, Instant::now() + NAMES_WITHIN).await;
                let added = total.since(&earlier);
                let summary = Summary {
                    tool: name,
                    duration,
                    started: period_start.1,
                    by,
                    lost: lost_map(&added.lost),
                    notes: Vec::new(),
                };
                show(Period {
                    measurements: &added,
                    identities: &identities,
                    summary,
                })?;
                earlier = measurements;
                period_start = (Instant::now(), SystemTime::now());
            }
            Ok(())
        })
    }
}

/// Waits, for ever where there is no limit, and now and then makes room for owners that appear.
async fn pause(wait: Option<Duration>, mut make_room: impl FnMut()) {
    let end = wait.map(|wait| Instant::now() + wait);
    loop {
        let rest = end.map_or(ROOM_EVERY, |end| {
            end.saturating_duration_since(Instant::now())
        });
        sleep(rest.min(ROOM_EVERY)).await;
        if rest <= ROOM_EVERY && end.is_some() {
            return;
        }
        make_room();
    }
}

/// Lets go of privileges once the probes are attached. Call it before there are other threads.
pub(super) fn let_go() {
    if let Err(error) = privileges::drop_after_attach(capabilities_for_map_reads()) {
        tracing::debug!(error = chain(&error), "privileges are kept");
    }
}

/// Says that the probes count from this moment on.
fn announce(name: &str, duration: Option<Duration>) {
    let until = duration.map_or_else(
        || "until Ctrl-C".into(),
        |duration| {
            format!(
                "for {}, Ctrl-C ends early",
                humantime::format_duration(duration)
            )
        },
    );
    // Nobody is left to be told that this failed.
    writeln!(io::stderr(), "{name}: attached, measuring {until}").ok();
}

/// Conditions from the arguments.
pub(super) fn filter(args: &CommonArgs) -> Filter {
    Filter {
        containers: args
            .container
            .iter()
            .map(|text| Pattern::new(text))
            .collect(),
        cgroups: args.cgroup.iter().cloned().collect(),
        pids: args.pid.iter().copied().collect(),
    }
}

/// Prints a report in the wanted format; `table` writes the one for people.
pub(super) fn print<R: Row>(
    args: &CommonArgs,
    report: &Report<R>,
    table: impl FnOnce(&mut Vec<u8>, &Look) -> io::Result<()>,
) -> Result<(), CliError> {
    let mut text = Vec::new();
    match args.output {
        OutputFormat::Table => table(&mut text, &look())?,
        OutputFormat::Json => {
            json::write_json(&mut text, report)?;
        }
        OutputFormat::Ndjson => json::write_ndjson(&mut text, report)?,
    }
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

/// What standard output can show.
pub(super) fn look() -> Look {
    use std::io::IsTerminal as _;
    let terminal = io::stdout().is_terminal();
    let width = if terminal {
        crossterm::terminal::size().map_or(100, |(columns, _)| usize::from(columns))
    } else {
        usize::MAX
    };
    Look {
        width,
        colour: output::style_wanted(&io::stdout()),
        charset: charset(),
    }
}

/// UTF-8 where the locale says so, and where it says nothing.
pub(super) fn charset() -> Charset {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = set("LC_ALL")
        .or_else(|| set("LC_CTYPE"))
        .or_else(|| set("LANG"));
    match locale.as_deref() {
        Some("C" | "POSIX") => Charset::Ascii,
        Some(locale)
            if !locale
                .to_ascii_lowercase()
                .replace('-', "")
                .contains("utf8") =>
        {
            Charset::Ascii
        }
        _ => Charset::Unicode,
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::unsupported(error)
            .with_remedy("`nodeprobe doctor` says what works on this host and what to do")
    }
}
