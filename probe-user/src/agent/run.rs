//! The agent from start to end: attach, let go of privileges, serve and collect, end cleanly.

use std::{
    future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use aya::sys::{Stats, enable_stats};
use aya_log::EbpfLogger;
use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, watch},
    task::JoinHandle as Task,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{info, warn};
use tracing_log::LogTracer;

use super::{Agent, LogLosses, flows::Flows};
use crate::{
    config::{self, Config, ConfigError, FlowTarget, LogLevel},
    http::{self, BindError, Limits},
    identity::resolver,
    kernel::{
        Roots, capabilities_for_map_reads,
        memory::{give_memory_back, map_large_blocks},
    },
    kubernetes::{self, Kubernetes},
    logs::chain,
    policy::FollowError,
    privileges,
    render::live::{Ended, Theme, restore_modes, run_live},
    session::{Plan, Session, StartError, TranslationScope, Translator},
};

/// How often messages of the programs are read, where they are asked for.
const MESSAGES_EVERY: Duration = Duration::from_millis(200);

/// How often the live table changes.
const LIVE_EVERY: Duration = Duration::from_secs(1);

/// How long the live table may take to give the terminal back. A write to a terminal whose other end reads nothing does not
/// end.
const TABLE_PATIENCE: Duration = Duration::from_secs(2);

/// How an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// As it should.
    Clean,
    /// The terminal takes no output: nothing can be written to it, and a write would not return.
    TerminalStuck,
}

/// What the command line has a say in.
pub struct Hooks {
    /// Loads the configuration anew, for SIGHUP.
    pub reload: Box<dyn Fn() -> Result<Config, ConfigError>>,
    /// Changes the level of the log; answers whether it did.
    pub set_log_level: Box<dyn Fn(LogLevel) -> bool>,
    /// Counts log lines that nobody saw.
    pub log_losses: LogLosses,
    /// Shows the live table in this look.
    pub live: Option<Theme>,
    /// Ends by itself after this time.
    pub duration: Option<Duration>,
}

/// The agent could not start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The address is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The probes did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A log cannot be written where it should be.
    #[error("cannot write the {name} to {target}")]
    FlowLog {
        /// Which log.
        name: &'static str,
        /// Where it should be.
        target: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to judge connections by.
    #[error(transparent)]
    Policies(#[from] FollowError),
    /// The system refused something that it always grants.
    #[error("cannot {what}")]
    System {
        /// What was refused.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Runs an agent until a signal, the end of its time, or until the live table is left.
///
/// # Errors
///
/// If the address cannot be had or the probes do not start.
pub fn run(config: Config, hooks: Hooks) -> Result<Finish, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    map_large_blocks();
    // One thread for all that waits; what computes for long goes to threads that start later, without privileges.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the runtime"))?;
    let listener = runtime.block_on(http::bind(config.listen))?;
    let statistics = config.program_stats.then(|| enable_stats(Stats::RunTime));
    if let Some(Err(error)) = &statistics {
        warn!(%error, "the kernel does not count what programs cost; this needs CAP_SYS_ADMIN");
    }
    let mut session = Session::start(&Plan::from(&config))?;
    session.identities().set_split(config.cgroups_split.clone());
    if let Some(note) = session.narrow_view() {
        warn!("{note}");
    }
    // Policies are about what is behind a service.
    let asks = config.flows.log != FlowTarget::Off || config.judges();
    let translator = TranslationScope::new(config.flows.translation, asks).and_then(translator);
    let apart: Vec<_> = translator.iter().map(Translator::apart).collect();
    let keep = capabilities_for_map_reads();
    if let Err(error) = privileges::drop_after_attach(keep, &apart) {
        warn!(error = chain(&error), "privileges are kept");
    }
    session.follow().map_err(system("start a thread"))?;
    let kubernetes = kubernetes::Settings::of(&config)
        .map(Kubernetes::start)
        .transpose()
        .map_err(system("start a thread"))?;
    // Only the start needs the kernel's types, which take 40 MiB while they are searched.
    give_memory_back();
    runtime.block_on(serve(
        session, translator, kubernetes, listener, config, hooks,
    ))
}

/// Who asks connection tracking; `None` after saying why nobody can.
fn translator(scope: TranslationScope) -> Option<Translator> {
    Translator::start(scope, Roots::default().proc)
        .inspect_err(|error| {
            warn!(
                error = chain(error),
                "translated addresses are not asked for; `nodeprobe doctor` says what is missing"
            );
        })
        .ok()
}

/// Everything after the start.
async fn serve(
    session: Session,
    translator: Option<Translator>,
    kubernetes: Option<Kubernetes>,
    listener: tokio::net::TcpListener,
    config: Config,
    hooks: Hooks,
) -> Result<Finish, RunError> {
    let signals = |kind| {
        signal(kind).map_err(|source| RunError::System {
            what: "wait for signals",
            source,
        })
    };
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    let mut hang_up = signals(SignalKind::hangup())?;
    let listen = listener.local_addr().unwrap_or(config.listen);
    let agent = Agent::new(session, kubernetes, &config, hooks.log_losses.clone());
    let agent = Arc::new(agent);
    let flows = Flows::start(&agent, &config, translator)?;
    let messages = config.debug.then(|| read_messages(&agent));
    let (stop, stopped) = watch::channel(());
    let server = tokio::spawn(http::serve(
        listener,
        agent.clone(),
        Limits::default(),
        ended(stopped.clone()),
    ));
    let names = Names::start(&agent, &config);
    let left = Arc::new(Notify::new());
    let table = hooks
        .live
        .map(|theme| Table::start(agent.clone(), theme, left.clone()))
        .transpose()?;
    // With port 0 this is not the one of the configuration.
    info!(%listen, node = config.node, "ready");

    let mut config = config;
    let mut ticks = interval(config.collect_interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = async {
        match hooks.duration {
            Some(duration) => sleep(duration).await,
            None => future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            _ = ticks.tick() => on_pool(&agent, |agent| { agent.collect(Duration::ZERO); }).await,
            () = received(&mut hang_up) => {
                flows.iter().for_each(Flows::reopen);
                if let Some(next) = reload(&config, &hooks) {
                    config = next.clone();
                    flows.iter().for_each(|flows| flows.narrow(&next.flows.log_rules));
                    on_pool(&agent, move |agent| agent.reconfigure(&next)).await;
                    ticks = interval(config.collect_interval);
                }
            }
            () = received(&mut terminate) => break info!("SIGTERM: ending"),
            () = received(&mut interrupt) => break info!("SIGINT: ending"),
            () = left.notified() => break,
            () = &mut end => break info!("the time is up: ending"),
        }
    }
    drop(stop);
    let finish = match table {
        Some(table) => table.end().await,
        None => Finish::Clean,
    };
    if let Some(flows) = flows {
        on_pool(&agent, |_| flows.end()).await;
    }
    on_pool(&agent, |agent| agent.collect_last()).await;
    names.end().await;
    if let Some(messages) = messages {
        messages.abort();
    }
    if let Err(error) = server.await {
        warn!(%error, "the HTTP server did not end well");
    }
    Ok(finish)
}

/// Runs what waits for a collection, or is one, where it may take its time.
async fn on_pool(agent: &Arc<Agent>, what: impl FnOnce(&Agent) + Send + 'static) {
    let agent = agent.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || what(&agent)).await {
        warn!(%error, "the agent could not do its work; please report this");
    }
}

/// Completes when the sender is gone.
async fn ended(mut stopped: watch::Receiver<()>) {
    // The value never changes: an answer is the end.
    _ = stopped.changed().await;
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        future::pending::<()>().await;
    }
}

/// Loads the configuration anew; what is wrong with it is logged, and the old one stays.
fn reload(in_force: &Config, hooks: &Hooks) -> Option<Config> {
    let loaded = match (hooks.reload)() {
        Ok(loaded) => loaded,
        Err(error) => {
            warn!(
                error = chain(&error),
                "SIGHUP: the configuration is wrong, the old one stays in force"
            );
            return None;
        }
    };
    let (next, changes) = config::reload(in_force, &loaded);
    info!(
        applied = changes.applied.join(", "),
        "SIGHUP: configuration loaded"
    );
    if !changes.restart.is_empty() {
        warn!(
            keys = changes.restart.join(", "),
            "SIGHUP: these keys need a restart"
        );
    }
    if in_force.log.level != next.log.level && !(hooks.set_log_level)(next.log.level) {
        warn!("SIGHUP: RUST_LOG decides what is logged, log.level does not");
    }
    Some(next)
}

/// The task that asks runtimes for names.
struct Names {
    stop: watch::Sender<()>,
    task: Task<()>,
}

impl Names {
    fn start(agent: &Arc<Agent>, config: &Config) -> Self {
        let (stop, stopped) = watch::channel(());
        let identities = agent.session().identities().clone();
        let task = tokio::spawn(resolver::run(
            identities,
            (&config.runtimes).into(),
            agent.kubernetes().map(|it| it.catalog().clone()),
            ended(stopped),
        ));
        Self { stop, task }
    }

    async fn end(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            warn!(%error, "the task that asks for names did not end well");
        }
    }
}

/// Notifies when it is dropped, also by a panic: an agent whose table is gone must not go on unseen.
struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// The live table, on a thread of its own because it waits for keys.
struct Table {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Table {
    fn start(agent: Arc<Agent>, theme: Theme, left: Arc<Notify>) -> Result<Self, RunError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("live".into())
            .spawn(move || {
                let _left = OnDrop(left);
                let next = || agent.live_view();
                let stop = || stopped.load(Ordering::Relaxed);
                match run_live(next, LIVE_EVERY, stop, &theme) {
                    Ok(Ended::Left) => {}
                    Ok(Ended::HungUp) => info!("the terminal is gone: ending"),
                    Err(error) => warn!(%error, "the live table ended"),
                }
            })
            .map_err(|source| RunError::System {
                what: "start a thread",
                source,
            })?;
        Ok(Self { stop, thread })
    }

    async fn end(self) -> Finish {
        const STEP: Duration = Duration::from_millis(10);
        self.stop.store(true, Ordering::Relaxed);
        let mut left = TABLE_PATIENCE;
        while !self.thread.is_finished() {
            if left.is_zero() {
                restore_modes();
                return Finish::TerminalStuck;
            }
            left = left.saturating_sub(STEP);
            sleep(STEP).await;
        }
        if self.thread.join().is_err() {
            warn!("the live table has panicked");
        }
        Finish::Clean
    }
}

/// Passes messages of the programs on to the log. An object whose programs write none has no map for them.
fn read_messages(agent: &Arc<Agent>) -> Task<()> {
    let mut loggers: Vec<_> = agent
        .session()
        .attached()
        .iter_mut()
        .filter(|probe| probe.writes_messages())
        .filter_map(|probe| {
            EbpfLogger::init_with_logger(probe.ebpf_mut(), LogTracer::new())
                .inspect_err(|error| warn!(probe = probe.name, %error, "messages cannot be read"))
                .ok()
        })
        .collect();
    tokio::spawn(async move {
        let mut ticks = interval(MESSAGES_EVERY);
        loop {
            ticks.tick().await;
            loggers.iter_mut().for_each(EbpfLogger::flush);
        }
    })
}
