//! What the one-shot tools share: attach, measure until the time is up or Ctrl-C, show, detach.

mod ring;

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

use self::ring::Ring;
use super::{
    CliError,
    args::{CommonArgs, OutputFormat},
    output,
};
use crate::{
    config,
    identity::{Identities, Limits, resolver},
    kernel::{Roots, capabilities_for_map_reads, clock::monotonic},
    limits,
    logs::chain,
    model::{Departed, FeatureState, LostCount, Measurements, OwnerKind},
    privileges::{self, Task},
    probes::Latency,
    render::{
        Charset, Look, json,
        view::{By, Report, Row, Summary, lost_map},
    },
    report::Filter,
    select::{Pattern, Rules},
    session::{
        Enabled, FlowEvent, FlowFollower, FlowSettings, Plan, Session, StartError,
        TranslationScope, Translator,
    },
};

/// How long to wait for names when the measurement is over.
pub(super) const NAMES_WITHIN: Duration = Duration::from_secs(2);

/// How often the counters of removed containers are freed during a measurement.
const ROOM_EVERY: Duration = Duration::from_secs(10);

/// How often flows are asked for; more often when a ring fills.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// Longer than any measurement, and short enough to be added to a point in time.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A tool that measures.
pub(super) struct Tool {
    name: &'static str,
    session: Session,
    runtime: Runtime,
    follow: Option<FlowSettings>,
    translator: Option<Translator>,
    /// What the probes lack, in plain words.
    lacks: Vec<String>,
}

/// What a tool needs to run.
pub(super) struct Needs {
    /// The probes besides the one that follows containers.
    pub(super) probes: HashMap<&'static str, Enabled>,
    /// What the owners are.
    pub(super) owners: OwnerKind,
    /// Which calls are timed.
    pub(super) latency: Latency,
    /// Whether flows and look-ups are followed, and how.
    pub(super) follow: Option<FlowSettings>,
    /// Whether what is behind translated addresses is asked for.
    pub(super) translate: bool,
}

/// What a tool does with what is measured.
pub(super) trait Job {
    /// Takes what happened since the last call, at the monotonic time `now`. Called often, whether something happened or not,
    /// if flows are followed.
    fn follow(
        &mut self,
        _events: Vec<FlowEvent>,
        _now: Duration,
        _identities: &Identities,
    ) -> Result<(), CliError> {
        Ok(())
    }

    /// Shows a period that is over.
    fn show(&mut self, period: Period<'_>) -> Result<(), CliError>;
}

/// A job that shows periods and does nothing else.
struct Show<F>(F);

impl<F: FnMut(Period<'_>) -> Result<(), CliError>> Job for Show<F> {
    fn show(&mut self, period: Period<'_>) -> Result<(), CliError> {
        (self.0)(period)
    }
}

/// One period of measuring.
pub(super) struct Period<'a> {
    /// What was counted in it.
    pub(super) measurements: &'a Measurements,
    /// Who the owners are.
    pub(super) identities: &'a Identities,
    /// No other period follows.
    pub(super) is_last: bool,
    /// State of every probe.
    pub(super) states: &'a [(&'static str, FeatureState)],
    summary: Summary,
}

impl Period<'_> {
    /// Says something that the rows do not say.
    pub(super) fn note(&mut self, note: String) {
        self.summary.notes.push(note);
    }

    /// Says that something was lost.
    pub(super) fn lost(&mut self, what: &str, count: u64) {
        if count > 0 {
            *self.summary.lost.entry(what.to_owned()).or_default() += count;
        }
    }

    /// Whether a probe is attached.
    pub(super) fn has(&self, probe: &str) -> bool {
        let state = self.states.iter().find(|(name, _)| *name == probe);
        state
            .is_some_and(|(_, state)| matches!(state, FeatureState::On | FeatureState::Degraded(_)))
    }

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
        Self::start_with(
            name,
            Needs {
                probes: HashMap::from([(probe, Enabled::Always)]),
                owners,
                latency,
                follow: None,
                translate: false,
            },
        )
    }

    /// Attaches what a tool needs, and the probe that follows containers.
    pub(super) fn start_with(name: &'static str, needs: Needs) -> Result<Self, CliError> {
        let Needs {
            mut probes,
            owners,
            latency,
            follow,
            translate,
        } = needs;
        probes.insert("lifecycle", Enabled::Auto);
        privileges::check(&[Task::Probes])?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let plan = Plan {
            dns: true,
            flow_sampling: 1,
            flow_ignore: Vec::new(),
            max_flows: limits::FLOWS,
            max_connections: limits::CONNECTIONS,
            roots: Roots::default(),
            probes,
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
        let mut lacks = lacks(session.states());
        let translator = translate
            .then(|| Translator::start(TranslationScope::Host, plan.roots.proc.clone()))
            .transpose()
            .unwrap_or_else(|error| {
                lacks.push(format!(
                    "translated addresses are not asked for: {}",
                    chain(&error)
                ));
                None
            });
        let_go(translator.as_ref());
        session.follow()?;
        Ok(Self {
            name,
            session,
            runtime,
            follow,
            translator,
            lacks,
        })
    }

    /// Measures as the arguments say and shows each period.
    pub(super) fn run(
        self,
        args: &CommonArgs,
        by: By,
        show: impl FnMut(Period<'_>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        self.run_job(args, by, Show(show))
    }

    /// Measures as the arguments say, with a job that is told what happens.
    pub(super) fn run_job(
        self,
        args: &CommonArgs,
        by: By,
        mut job: impl Job,
    ) -> Result<(), CliError> {
        let Self {
            name,
            session,
            runtime,
            follow,
            translator,
            lacks,
        } = self;
        let mut follower = follow.map(|settings| {
            FlowFollower::new(session.take_flow_readers(), settings, monotonic())
                .with_drops(session.take_drops_reader())
                .with_translator(translator)
        });
        runtime.block_on(async {
            let identities = session.identities().clone();
            let runtimes = resolver::Config::from(&config::Config::default().runtimes);
            tokio::spawn(resolver::run(
                identities.clone(),
                runtimes,
                None,
                future::pending(),
            ));
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let ring = Ring::watch(follower.as_ref().and_then(FlowFollower::ring))?;
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
                let over = wait.map(|wait| now + wait);
                let mut room_at = now + ROOM_EVERY;
                loop {
                    let step = if follower.is_some() {
                        POLL_EVERY
                    } else {
                        ROOM_EVERY
                    };
                    let rest = over.map(|over| over.saturating_duration_since(Instant::now()));
                    tokio::select! {
                        () = sleep(rest.map_or(step, |rest| rest.min(step))) => {}
                        () = ring.fills() => {}
                        _ = interrupt.recv() => done = true,
                        _ = terminate.recv() => done = true,
                    }
                    let now = Instant::now();
                    let is_over = over.is_some_and(|over| now >= over);
                    if let Some(follower) = &mut follower {
                        let at = monotonic();
                        let events = if done || (is_over && is_last) {
                            follower.finish(at)
                        } else {
                            follower.poll(at)
                        };
                        job.follow(events, at, &identities)?;
                    }
                    if is_over || done {
                        done |= is_last;
                        break;
                    }
                    if now >= room_at {
                        room_at = now + ROOM_EVERY;
                        session.tend();
                        departed.keep(&session.measure(), &session.release());
                    }
                }
                session.tend();
                let mut measurements = session.measure();
                if let Some(follower) = &follower {
                    measurements.lost.push(LostCount {
                        stream: "flows",
                        stage: "decode",
                        reason: "decode_error",
                        count: follower.counts().undecoded,
                    });
                }
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
                    notes: lacks.clone(),
                };
                job.show(Period {
                    measurements: &added,
                    identities: &identities,
                    is_last: done,
                    states: session.states(),
                    summary,
                })?;
                earlier = measurements;
                period_start = (Instant::now(), SystemTime::now());
            }
            Ok(())
        })
    }
}

/// What probes lack that were asked for.
fn lacks(states: &[(&'static str, FeatureState)]) -> Vec<String> {
    let lacks = states.iter().filter_map(|(probe, state)| {
        let reason = state.reason()?;
        // The tools follow containers in another way then.
        (*probe != "lifecycle").then(|| format!("probe {probe} is {}: {reason}", state.name()))
    });
    lacks.collect()
}

/// Lets go of privileges once the probes are attached. Call it before there are other threads.
pub(super) fn let_go(translator: Option<&Translator>) {
    let apart: Vec<_> = translator.map(Translator::apart).into_iter().collect();
    if let Err(error) = privileges::drop_after_attach(capabilities_for_map_reads(), &apart) {
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
    let patterns = |text: &Option<String>| text.iter().map(|text| Pattern::new(text)).collect();
    Filter {
        containers: patterns(&args.container),
        namespaces: patterns(&args.namespace),
        cgroups: args.cgroup.iter().cloned().collect(),
        pids: args.pid.iter().copied().collect(),
        flows: Rules::default(),
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
