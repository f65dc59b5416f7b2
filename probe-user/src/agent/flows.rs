//! The thread that follows flows: it writes the flow log and sums up traffic for the collections.

mod held;
mod log;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tracing::{error, warn};

pub(super) use self::log::open;
use self::{held::Held, log::Became};
use super::{Agent, RunError, policies::Desk};
use crate::{
    config::{Config, FlowTarget},
    flows::{FlowLog, Observed},
    kernel::{clock::monotonic, wait::Waiter},
    model::Measurements,
    select::Rules,
    session::{FlowEvent, FlowFollower, FlowSettings, Parties, Translator, named, peer_of},
};

/// How often the rings are read, and the table is looked at; more often when a ring fills.
const POLL_EVERY: Duration = Duration::from_millis(100);

/// How often losses are looked at.
const LOSSES_EVERY: Duration = Duration::from_secs(1);

/// How often the log gets both sides of the sum.
const BALANCE_EVERY: Duration = Duration::from_secs(60);

/// How long the end waits for the log to be on the disk.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// The thread.
pub(super) struct Flows {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    log: Option<Arc<FlowLog>>,
    desk: Option<Arc<Desk>>,
    rules: LogRules,
}

/// Rules of the log, which a reload exchanges.
type LogRules = Arc<Mutex<Arc<Rules>>>;

impl Flows {
    /// Starts it. `None` where no probe of the network runs and nothing is to be written.
    ///
    /// Called after privileges were let go of: the thread has those of the calling one.
    pub(super) fn start(
        agent: &Arc<Agent>,
        config: &Config,
        translator: Option<Translator>,
    ) -> Result<Option<Self>, RunError> {
        let readers = agent.session().take_flow_readers();
        let is_wanted = config.flows.log != FlowTarget::Off || config.judges();
        if readers.0.is_none() && readers.1.is_none() && !is_wanted {
            return Ok(None);
        }
        let drops = agent.session().take_drops_reader();
        let log = open("flow log", &config.flows.log, config, agent.session())?.map(Arc::new);
        let desk = Desk::open(config, agent.session(), agent.kubernetes())?.map(Arc::new);
        if let Some(desk) = &desk {
            agent.policies.open(desk.clone());
        }
        let stop = Arc::new(AtomicBool::new(false));
        let rules = LogRules::new(Mutex::new(config.flows.log_rules.clone().into()));
        let (stopped, agent) = (stop.clone(), agent.clone());
        let (written, audited) = (log.clone(), desk.clone());
        let narrowed = rules.clone();
        let settings = FlowSettings {
            sweep: config.flows.sweep,
            period: config.flows.period,
            idle: config.flows.idle,
            lookup_timeout: config.flows.dns_timeout,
        };
        let patience = config.limits.naming_deadline;
        let run = move || {
            let follower = FlowFollower::new(readers, settings, monotonic())
                .with_drops(drops)
                .with_translator(translator);
            Following::new(&agent, written, audited, narrowed, patience).run(follower, &stopped);
        };
        let thread = thread::Builder::new()
            .name("flows".into())
            .spawn(move || {
                // What it shares with others is behind locks that outlive a panic.
                if catch_unwind(AssertUnwindSafe(run)).is_err() {
                    error!(
                        "flows are no longer followed after a fault of the agent; please report this"
                    );
                }
            })
            .map_err(|source| RunError::System {
                what: "start a thread",
                source,
            })?;
        Ok(Some(Self {
            stop,
            thread,
            log,
            desk,
            rules,
        }))
    }

    /// Has the file of the log opened again, for who has moved it away.
    pub(super) fn reopen(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
        if let Some(desk) = &self.desk {
            desk.reopen();
        }
    }

    /// Has other flows in the log from now on.
    pub(super) fn narrow(&self, rules: &Rules) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules.clone());
    }

    /// Reports what goes on as ended, and waits until the log is written, but not for long.
    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.join().is_err() {
            warn!("the thread that follows flows has panicked");
        }
    }
}

/// What the thread remembers.
struct Following<'a> {
    agent: &'a Agent,
    log: Option<Arc<FlowLog>>,
    desk: Option<Arc<Desk>>,
    rules: LogRules,
    marks: log::Marks,
    held: Held,
}

impl<'a> Following<'a> {
    fn new(
        agent: &'a Agent,
        log: Option<Arc<FlowLog>>,
        desk: Option<Arc<Desk>>,
        rules: LogRules,
        patience: Duration,
    ) -> Self {
        Self {
            agent,
            log,
            desk,
            rules,
            marks: log::Marks::default(),
            held: Held::new(patience),
        }
    }

    fn run(mut self, mut follower: FlowFollower, stopped: &AtomicBool) {
        let waiter = Waiter::new(follower.ring()).unwrap_or_else(|error| {
            warn!(%error, "ends of connections are only looked for ten times a second");
            Waiter::default()
        });
        let mut losses_at = Instant::now();
        let mut balance_at = losses_at + BALANCE_EVERY;
        while !stopped.load(Ordering::Relaxed) {
            if let Some(desk) = &self.desk {
                desk.follow(monotonic());
            }
            let events = {
                let _undisturbed = self.agent.session().undisturbed();
                follower.poll(monotonic())
            };
            self.take_on(events);
            self.write(false);
            let now = Instant::now();
            if now >= losses_at {
                losses_at = now + LOSSES_EVERY;
                self.tell_losses();
                let log = self.log.as_ref().map(|log| log.counts());
                self.agent.traffic.show(follower.counts(), log);
            }
            if now >= balance_at {
                balance_at = now + BALANCE_EVERY;
                self.balance(&mut follower);
            }
            waiter.wait(POLL_EVERY);
        }
        // What comes after the last reading would be missing from one side of the sum.
        self.agent.session().stop_flows();
        let events = {
            let _undisturbed = self.agent.session().undisturbed();
            follower.finish(monotonic())
        };
        self.take_on(events);
        self.write(true);
        let last = self.agent.collect(Duration::ZERO);
        self.tell_losses();
        self.tell_balance([&last, &last], &follower);
        if let Some(log) = &self.log
            && let Err(error) = log.flush(monotonic(), FLUSH_WITHIN)
        {
            warn!(%error, "the end of the flow log is missing");
        }
        if let Some(desk) = &self.desk {
            desk.flush(monotonic(), FLUSH_WITHIN);
        }
        let log = self.log.as_ref().map(|log| log.counts());
        self.agent.traffic.show(follower.counts(), log);
    }

    /// Look-ups are counted by the kernel side, and their names are in the flows.
    fn take_on(&mut self, events: Vec<FlowEvent>) {
        let now = Instant::now();
        for event in events {
            let FlowEvent::Flow(report) = event else {
                continue;
            };
            let known = peer_of(&report, self.agent.catalog());
            self.agent.traffic.add(&report, known.as_deref());
            if self.log.is_some() || self.desk.is_some() {
                self.held.push(report, now);
            }
        }
    }

    /// Tells of what has names, or has waited for them for long enough; with `all` of everything.
    fn write(&mut self, all: bool) {
        let (monotonic, wall) = (monotonic(), std::time::SystemTime::now());
        if let Some(log) = &self.log {
            log.follow_clock(monotonic, wall);
        }
        if let Some(desk) = &self.desk {
            desk.follow_clock(monotonic, wall);
        }
        let identities = self.agent.session().identities();
        let catalog = self.agent.catalog();
        let rules = self
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let now = Instant::now();
        let desk = self.desk.as_deref();
        let is_known = |cgroup| {
            named(cgroup, identities, catalog)
                .is_some_and(|container| desk.is_none_or(|desk| desk.is_ready_for(&container)))
        };
        while let Some(ready) = self.held.pop(now, all, is_known) {
            let parties = Parties::of(&ready.report, identities, catalog);
            let observed = parties.observed(&ready.report, ready.at);
            if let Some(desk) = &self.desk {
                desk.take(&ready.report, &observed);
            }
            if let Some(log) = &self.log {
                let became = write(log, &observed, &rules);
                self.marks.written(ready.report.units(), became);
            }
        }
    }

    fn tell_losses(&mut self) {
        let latest = self.agent.latest();
        if let (Some(log), Some((at, measurements))) = (&self.log, latest) {
            self.marks.tell_losses(log, at, &measurements);
        }
    }

    /// Reads all at once and tells both sides of the sum. What comes meanwhile may be on one side only, so the kernel side is
    /// read before and after.
    fn balance(&mut self, follower: &mut FlowFollower) {
        let before = self.agent.collect(Duration::ZERO);
        let events = {
            let _undisturbed = self.agent.session().undisturbed();
            follower.poll_all(monotonic())
        };
        self.take_on(events);
        let after = self.agent.collect(Duration::ZERO);
        self.tell_balance([&before, &after], follower);
    }

    fn tell_balance(&self, read: [&Measurements; 2], follower: &FlowFollower) {
        let Some(log) = &self.log else {
            return;
        };
        let balances = self
            .marks
            .balances(read, &follower.counts(), self.held.units);
        for balance in balances {
            log.balance(monotonic(), &balance);
        }
    }
}

/// Writes the record of a flow, unless a rule leaves it out.
fn write(log: &FlowLog, observed: &Observed<'_>, rules: &Rules) -> Became {
    let owners = [observed.local, observed.remote.map(|owner| owner.container)];
    if !rules.admit(observed.flow, owners) {
        log.leave_out();
        return Became::Filtered;
    }
    if log.flow(observed) {
        Became::Written
    } else {
        Became::Refused
    }
}
