//! Metrics of the agent itself.

use std::sync::Arc;

use super::{delta::Previous, traffic};
use crate::{
    config::{Config, Latency},
    identity::Identities,
    kernel::Roots,
    metrics::{ProcessReader, Registry, families},
    model::{FeatureState, Measurements, ProbeHealth},
    session::Session,
};

/// Counts log lines that were held back, since the start.
pub type LogLosses = Arc<dyn Fn() -> u64 + Send + Sync>;

/// All states that a probe can be in.
const STATES: [&str; 5] = ["on", "off", "degraded", "unsupported", "failed"];

/// Remembers what is needed to keep the agent's own metrics up to date.
pub(super) struct OwnMetrics {
    process: ProcessReader,
    kernel: String,
    sampling_ratio: f64,
    flow_ratio: f64,
    program_stats: bool,
    evicted: Previous<(), u64>,
    log_losses: LogLosses,
}

impl OwnMetrics {
    pub(super) fn new(config: &Config, log_losses: LogLosses) -> Self {
        let syscalls = &config.probes.syscalls;
        Self {
            process: ProcessReader::new(&Roots::default().proc),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            sampling_ratio: match syscalls.latency {
                Latency::Off => 0.0,
                Latency::Exact => 1.0,
                Latency::Sampled => 1.0 / f64::from(syscalls.sample),
            },
            flow_ratio: 1.0 / f64::from(config.flows.sampling),
            program_stats: config.program_stats,
            evicted: Previous::default(),
            log_losses,
        }
    }

    pub(super) fn update(&mut self, registry: &mut Registry, session: &Session) {
        let (version, revision) = (env!("CARGO_PKG_VERSION"), env!("NODEPROBE_REVISION"));
        registry.set(
            &families::BUILD,
            &[version, revision, "1", &self.kernel],
            1.0,
        );
        for (family, ratio) in [
            (&families::SYSCALL_DURATION, self.sampling_ratio),
            (&families::SYSCALL_EXACT_DURATION, self.sampling_ratio),
            (&families::FLOW_BYTES, self.flow_ratio),
            (&families::FLOW_PACKETS, self.flow_ratio),
            (&families::FLOW_ACTIVE, self.flow_ratio),
        ] {
            registry.set(&families::SAMPLING_RATIO, &[family.name], ratio);
        }
        for probe in session.health() {
            self.show(registry, &probe);
        }
        let stats = session.identities().stats();
        let evicted = self.evicted.added((), stats.evicted + stats.refused);
        registry.touch(&families::IDENTITIES_EVICTED, &[]);
        registry.add(&families::IDENTITIES_EVICTED, &[], evicted);
        registry.raise(&families::LOG_LINES_LOST, &[], (self.log_losses)());
        for stream in ["syscalls", "scheduler", "tcp", "flows"] {
            registry.touch(&families::UNATTRIBUTED, &[stream, "no_identity"]);
        }
        show_containers(registry, session.identities());
        if let Err(error) = self.process.update(registry) {
            tracing::debug!(%error, "the agent's own resources cannot be read");
        }
    }

    fn show(&self, registry: &mut Registry, probe: &ProbeHealth) {
        for state in STATES {
            let is = f64::from(u8::from(state == probe.state.name()));
            registry.set(&families::FEATURE_STATE, &[probe.probe, state], is);
        }
        let up = matches!(probe.state, FeatureState::On | FeatureState::Degraded(_));
        for program in &probe.programs {
            let labels = [program.name.as_str(), probe.probe];
            registry.set(&families::PROGRAM_UP, &labels, f64::from(u8::from(up)));
            if self.program_stats {
                let nanos = u64::try_from(program.run_time.as_nanos()).unwrap_or(u64::MAX);
                registry.raise(&families::PROGRAM_RUN, &[&program.name], nanos);
                registry.raise(&families::PROGRAM_RUNS, &[&program.name], program.runs);
            }
        }
        for map in &probe.maps {
            registry.set(&families::MAP_ENTRIES, &[&map.map], map.entries as f64);
            registry.set(&families::MAP_CAPACITY, &[&map.map], map.capacity as f64);
            registry.set(&families::MAP_BYTES, &[&map.map], map.bytes as f64);
        }
        if let Some((took, succeeded)) = probe.last_collect {
            registry.set(
                &families::COLLECT_DURATION,
                &[probe.probe],
                took.as_secs_f64(),
            );
            registry.set(
                &families::COLLECT_SUCCESS,
                &[probe.probe],
                f64::from(u8::from(succeeded)),
            );
        }
    }
}

/// Counts of the thread that follows flows, and of its log.
pub(super) fn show_flows(registry: &mut Registry, traffic: &traffic::State, read: &Measurements) {
    for (unit, fates) in [("packets", read.seen), ("connections", read.ended)] {
        let Some(fates) = fates else {
            continue;
        };
        for (reason, count) in [("sampling", fates.unsampled), ("rule", fates.ignored)] {
            registry.raise(&families::FLOW_LEFT_OUT, &[unit, reason], count);
        }
    }
    if let Some(follower) = &traffic.follower {
        for (stage, reason, count) in [
            ("decode", "decode_error", follower.undecoded),
            ("kernel", "evicted", follower.evicted),
            ("kernel", "end_missed", follower.missed_ends),
            ("join", "ends_full", follower.forgotten_ends),
            ("join", "drops_full", follower.forgotten_drops),
            ("join", "questions_full", follower.lookups.table_full),
            ("join", "streams_full", follower.lookups.streams_full),
            ("join", "stream_gap", follower.lookups.gaps),
        ] {
            registry.raise(&families::RECORDS_LOST, &["flows", stage, reason], count);
        }
    }
    let translations = traffic.follower.as_ref().and_then(|it| it.translations);
    if let Some(counts) = translations {
        for (result, count) in [
            ("translated", counts.translated),
            ("untranslated", counts.untranslated),
            ("absent", counts.absent),
            ("failed", counts.failed),
            ("late", counts.late),
            ("over_budget", counts.over_budget),
        ] {
            registry.raise(&families::FLOW_TRANSLATIONS, &[result], count);
        }
    }
    let Some(log) = &traffic.log else {
        return;
    };
    for (stage, reason, count) in [
        ("queue", "queue_full", log.refused),
        ("encode", "encode_error", log.encode_errors),
    ] {
        registry.raise(&families::RECORDS_LOST, &["flows", stage, reason], count);
    }
    let sink = &log.sink;
    for (result, count) in [
        ("written", sink.written),
        ("refused", log.refused),
        ("filtered", log.filtered),
        ("unencodable", log.encode_errors),
        ("abandoned", sink.abandoned),
    ] {
        registry.raise(&families::FLOW_LOG_RECORDS, &[result], count);
    }
    registry.raise(&families::FLOW_LOG_BYTES, &[], sink.written_bytes);
    registry.set(&families::FLOW_LOG_WAITING, &[], sink.waiting as f64);
    for (action, count) in [
        ("write", sink.failures),
        ("rotate", sink.rotation_failures),
        ("compress", sink.compression_failures),
        ("sync", sink.sync_failures),
    ] {
        registry.raise(&families::FLOW_LOG_FAILURES, &[action], count);
    }
}

/// Containers that exist, by runtime.
fn show_containers(registry: &mut Registry, identities: &Identities) {
    let mut by_runtime = std::collections::BTreeMap::<&str, u32>::new();
    for container in identities.containers() {
        *by_runtime.entry(container.runtime.name()).or_default() += 1;
    }
    registry.clear(&families::CONTAINERS);
    for (runtime, count) in by_runtime {
        registry.set(&families::CONTAINERS, &[runtime], f64::from(count));
    }
    registry.clear(&families::UNNAMED_CONTAINERS);
    for ((runtime, reason), count) in identities.unnamed() {
        let labels = [runtime.name(), reason.code()];
        registry.set(&families::UNNAMED_CONTAINERS, &labels, count as f64);
    }
}
