//! The course of a measurement: read, wait a bounded moment for names, show, until the time is up.

use std::{
    collections::VecDeque,
    future,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{sleep, sleep_until};

use super::{
    Job, Period, Tool,
    chosen::Outcome,
    follow::{Flows, Signals},
    readings::{Added, Reading, Readings},
    schedule::{Next, Schedule},
};
use crate::{
    cli::{CliError, Kind, args::CommonArgs},
    identity::{Identities, resolver},
    render::view::{By, Summary, lost_map},
    session::{FlowEvent, FlowSettings, Translator},
};

/// How long the last report waits for names.
pub(in crate::cli) const NAMES_WITHIN: Duration = Duration::from_secs(2);

/// How long a report waits for names that another one follows: short against the time that flows may wait in their rings.
const NAMES_BETWEEN: Duration = Duration::from_millis(250);

/// How often the counters of removed containers are freed during a measurement.
const ROOM_EVERY: Duration = Duration::from_secs(10);

/// How often the time is looked at where no flows are followed.
const STEP: Duration = Duration::from_secs(1);

/// How often flows are asked for; more often when a ring fills.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// A measurement that runs.
pub(super) struct Measuring<'a, J> {
    tool: &'a Tool,
    identities: Arc<Identities>,
    signals: Signals,
    flows: Flows,
    /// What happened while a report waited for names: it belongs to the next period.
    backlog: VecDeque<(Vec<FlowEvent>, Duration)>,
    /// A signal has arrived.
    interrupted: bool,
    /// When to say, once, which filters match nothing so far.
    warn_at: Option<Instant>,
    job: J,
}

impl<'a, J: Job> Measuring<'a, J> {
    /// Starts to follow flows, names and signals. Called inside a runtime.
    pub(super) fn start(
        tool: &'a Tool,
        args: &CommonArgs,
        follow: Option<FlowSettings>,
        translator: Option<Translator>,
        job: J,
    ) -> Result<Self, CliError> {
        let identities = tool.session.identities().clone();
        let config = args.runtimes.load()?;
        let runtimes = resolver::Config::from(&config.runtimes);
        identities.set_split(tool.told_apart(args, config.cgroups_split));
        tokio::spawn(resolver::run(
            identities.clone(),
            runtimes,
            None,
            future::pending(),
        ));
        Ok(Self {
            tool,
            identities,
            signals: Signals::catch()?,
            flows: Flows::start(&tool.session, follow, translator)?,
            backlog: VecDeque::new(),
            interrupted: false,
            warn_at: Some(Instant::now() + NAMES_WITHIN),
            job,
        })
    }

    /// Measures and shows until the time is up or a signal arrives.
    pub(super) async fn run(mut self, args: &CommonArgs, by: By) -> Result<Kind, CliError> {
        self.tool.session.tend();
        let mut readings = Readings::begin(Reading::take(&self.tool.session));
        let schedule = Schedule::new(readings.last(), args.interval(), args.duration());
        announce(self.tool.name, args.duration());
        loop {
            let next = schedule.after(Instant::now());
            self.follow_until(next, &mut readings).await?;
            let is_last = next.is_last || self.interrupted;
            let added = self.read(&mut readings, is_last)?;
            self.wait_for_names(&added, is_last).await;
            let outcome = Outcome::of(self.tool, self.job.filter(), &self.identities);
            let summary = Summary {
                tool: self.tool.name,
                duration: added.duration,
                started: added.started,
                by,
                lost: lost_map(&added.measurements.lost),
                notes: outcome.notes(self.tool),
            };
            self.job.show(Period {
                measurements: &added.measurements,
                identities: &self.identities,
                is_last,
                states: self.tool.session.states(),
                summary,
                matched: outcome.matched,
            })?;
            if is_last {
                let failed = self.tool.strict && !outcome.unmatched.is_empty();
                return Ok(if failed { Kind::Finding } else { Kind::Fine });
            }
        }
    }

    /// Follows flows until the next reading is due or a signal arrives, and frees counters of removed containers meanwhile.
    async fn follow_until(&mut self, next: Next, readings: &mut Readings) -> Result<(), CliError> {
        let mut room_at = Instant::now() + ROOM_EVERY;
        let step = if self.flows.are_followed() {
            POLL_EVERY
        } else {
            STEP
        };
        while let Some((events, at)) = self.backlog.pop_front() {
            self.job.follow(events, at, &self.identities)?;
        }
        while !self.interrupted {
            let rest = next
                .at
                .map_or(step, |at| at.saturating_duration_since(Instant::now()));
            if rest.is_zero() {
                break;
            }
            tokio::select! {
                () = sleep(rest.min(step)) => {}
                () = self.flows.fill() => {}
                () = self.signals.received() => self.interrupted = true,
            }
            if let Some((events, at)) = self.flows.poll() {
                self.job.follow(events, at, &self.identities)?;
            }
            self.warn();
            if Instant::now() >= room_at {
                room_at = Instant::now() + ROOM_EVERY;
                let session = &self.tool.session;
                session.tend();
                readings.keep(&session.measure(), &session.release());
            }
        }
        Ok(())
    }

    /// Says once, early in a long measurement, which filters match nothing so far.
    fn warn(&mut self) {
        if self.warn_at.is_none_or(|at| Instant::now() < at) {
            return;
        }
        self.warn_at = None;
        let outcome = Outcome::of(self.tool, self.job.filter(), &self.identities);
        for unmatched in outcome.unmatched {
            // Nobody is left to be told that this failed.
            writeln!(io::stderr(), "{}: {unmatched}", self.tool.name).ok();
        }
    }

    /// Reads flows and counters: what a period has, and how long it was.
    fn read(&mut self, readings: &mut Readings, is_last: bool) -> Result<Added, CliError> {
        let session = &self.tool.session;
        // Before the reading: it may walk the whole hierarchy of cgroups.
        session.tend();
        let events = if is_last {
            self.flows.finish()
        } else {
            self.flows.poll_all()
        };
        if let Some((events, at)) = events {
            self.job.follow(events, at, &self.identities)?;
        }
        let mut reading = Reading::take(session);
        reading.measurements.lost.extend(self.flows.undecoded());
        Ok(readings.next(reading, &session.release()))
    }

    /// Waits a bounded moment for names that the next report shows. The next reading is not delayed by that.
    async fn wait_for_names(&mut self, added: &Added, is_last: bool) {
        let within = if is_last { NAMES_WITHIN } else { NAMES_BETWEEN };
        let deadline = Instant::now() + within;
        let identities = self.identities.clone();
        loop {
            let settled = identities.settled();
            tokio::pin!(settled);
            // Waiting begins before looking, so that no answer falls between.
            settled.as_mut().enable();
            let measurements = &added.measurements;
            if !self.job.awaits_names(measurements, &identities, is_last) {
                return;
            }
            tokio::select! {
                () = settled => {}
                () = sleep_until(deadline.into()) => return,
                () = sleep(POLL_EVERY), if !is_last => self.backlog.extend(self.flows.poll()),
                // A second signal ends the wait for the last names.
                () = self.signals.received() => {
                    self.interrupted = true;
                    return;
                }
            }
        }
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
