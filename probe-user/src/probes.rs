//! The probes: one kernel-side feature each, with its programs, maps and measurements.
//!
//! A probe reports raw ids. Who they are is joined later, and no probe knows who listens.

mod drops;
mod flows;
mod lifecycle;
mod narrow;
mod pool;
mod processes;
mod records;
mod scheduler;
mod shares;
mod syscalls;
mod table;
mod tcp;

use std::time::{Duration, Instant};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::Program,
};
use probe_common::loss;

pub use drops::DropsReader;
pub use flows::FlowsReader;
pub use lifecycle::{CgroupChange, CgroupRecord, LifecycleReader};
pub use syscalls::{Latency, MAX_SAMPLE};
pub use tcp::TcpReader;

use crate::{
    kernel::fdinfo::recursion_misses,
    loader::{Kernel, LoadError, Sizes},
    maps::MapError,
    model::{
        FeatureState, LostCount, MapFill, Measurements, OwnerId, OwnerKind, ProbeHealth,
        ProgramStats,
    },
    select::Rule,
};

/// What a probe is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the owner ids are.
    pub owners: OwnerKind,
    /// Which calls are timed.
    pub latency: Latency,
    /// Sizes of the maps.
    pub sizes: Sizes,
    /// Whether name look-ups are followed.
    pub dns: bool,
    /// One flow in this many is counted; 1 counts all.
    pub flow_sampling: u32,
    /// Flows that are not counted: rules on networks, ports and transports.
    pub flow_ignore: Vec<Rule>,
    /// How often the round-trip time of a connection that goes on is counted; zero for once in each reading.
    pub rtt_interval: Duration,
    /// Whether the programs write messages.
    pub debug: bool,
}

/// The level up to which programs log: `aya_log::Level::Debug`, or nothing.
fn log_level(options: &Options) -> u8 {
    if options.debug {
        aya_log::Level::Debug as u8
    } else {
        0
    }
}

/// One probe as the registry knows it.
pub struct ProbeSpec {
    /// Config key, log field and `probe` label.
    pub name: &'static str,
    /// What it measures, in one line.
    pub about: &'static str,
    /// Tracepoints, and programs of the same names, that it cannot do without.
    pub hooks: fn(&Options) -> &'static [&'static str],
    /// Loads and attaches it.
    pub attach: fn(&Kernel, &Options) -> Result<Attached, LoadError>,
}

/// Programs that do nothing, at the hooks of the probes: what benchmarks state the cost of a probe in.
pub const EMPTY_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/empty"));

/// All probes. Lifecycle is first: what appears while the others attach is not missed.
pub const REGISTRY: &[ProbeSpec] = &[
    lifecycle::SPEC,
    syscalls::SPEC,
    scheduler::SPEC,
    flows::SPEC,
    tcp::SPEC,
    drops::SPEC,
];

/// Finds a probe by name.
pub fn spec(name: &str) -> Option<&'static ProbeSpec> {
    REGISTRY.iter().find(|spec| spec.name == name)
}

/// What the names of programs end in that take what the kernel keeps from those of the names before it.
const AGAIN: &str = "_again";

/// A probe that is attached. Dropping it detaches its programs and frees its maps.
pub struct Attached {
    /// Name of the probe.
    pub name: &'static str,
    /// On or degraded.
    pub state: FeatureState,
    /// Reads its measurements, where it takes any.
    collector: Option<Box<dyn Collector>>,
    /// Read its records and tables, where others follow them; taken by the thread that does.
    pub readers: Readers,
    ebpf: Ebpf,
    lost: Option<PerCpuArray<MapData, u64>>,
    /// Events that second programs took.
    taken: Option<PerCpuArray<MapData, u64>>,
    /// Programs that were stopped before the rest, as they were last.
    stopped: Vec<ProgramStats>,
    last_collect: Option<(Duration, bool)>,
}

/// What follows records and tables of the probes, each for as long as its probe is attached.
#[derive(Default)]
pub struct Readers {
    /// Cgroups that come and go.
    pub lifecycle: Option<LifecycleReader>,
    /// Flows of datagrams, and name look-ups.
    pub flows: Option<FlowsReader>,
    /// Connections.
    pub tcp: Option<TcpReader>,
    /// Dropped packets.
    pub drops: Option<DropsReader>,
}

impl Readers {
    /// Takes what another one has.
    pub fn take_from(&mut self, other: &mut Self) {
        let Self {
            lifecycle,
            flows,
            tcp,
            drops,
        } = other;
        self.lifecycle = lifecycle.take().or(self.lifecycle.take());
        self.flows = flows.take().or(self.flows.take());
        self.tcp = tcp.take().or(self.tcp.take());
        self.drops = drops.take().or(self.drops.take());
    }
}

/// Reads and frees the measurements of one probe.
pub trait Collector: Send {
    /// Adds everything measured since attach.
    ///
    /// # Errors
    ///
    /// If a map cannot be read; what was read before is kept.
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError>;

    /// Forgets owners that are gone, so that their entries can be used again.
    ///
    /// # Errors
    ///
    /// If a map refuses; entries that were not freed stay taken.
    fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError>;

    /// How full its maps are.
    fn fill(&self) -> Vec<MapFill>;
}

impl Attached {
    fn new(name: &'static str, state: FeatureState, mut ebpf: Ebpf) -> Self {
        let mut per_cpu = |map| {
            ebpf.take_map(map)
                .and_then(|map| PerCpuArray::try_from(map).ok())
        };
        let (lost, taken) = (per_cpu("LOST"), per_cpu("TAKEN"));
        Self {
            name,
            state,
            collector: None,
            readers: Readers::default(),
            ebpf,
            lost,
            taken,
            stopped: Vec::new(),
            last_collect: None,
        }
    }

    /// Reads the probe's measurements and losses.
    ///
    /// # Errors
    ///
    /// If a map cannot be read.
    pub fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        let start = Instant::now();
        let result = match &mut self.collector {
            Some(collector) => collector.collect(into),
            None => Ok(()),
        };
        self.last_collect = Some((start.elapsed(), result.is_ok()));
        into.lost.extend(self.lost());
        result
    }

    /// Forgets owners that are gone.
    ///
    /// # Errors
    ///
    /// If a map refuses; entries that were not freed stay taken.
    pub fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError> {
        self.collector
            .as_mut()
            .map_or(Ok(()), |collector| collector.release(owners))
    }

    /// Whether its programs can write messages.
    pub fn writes_messages(&self) -> bool {
        self.ebpf.map("AYA_LOGS").is_some()
    }

    /// The object's maps and programs, for readers of its messages.
    pub fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Stops its programs that see packets, and the ends of connections, for good. What they counted stays, and so does what
    /// the kernel counted of them.
    pub fn stop_flows(&mut self) {
        let programs = self.ebpf.programs();
        let packets = programs.filter(|(_, it)| matches!(it, Program::CgroupSkb(_)));
        let packets = packets.map(|(name, _)| name.to_owned());
        // The second one before the first: alone it would take everything.
        let ends = tcp::ENDS_PROGRAMS.into_iter().rev().map(str::to_owned);
        for name in packets.chain(ends).collect::<Vec<_>>() {
            let program = self.ebpf.program_mut(&name);
            self.stopped
                .extend(program.and_then(|program| stop(&name, program)));
        }
    }

    /// State, cost of the programs and fill of the maps.
    pub fn health(&self) -> ProbeHealth {
        ProbeHealth {
            probe: self.name,
            state: self.state.clone(),
            programs: self.programs(),
            maps: self
                .collector
                .as_ref()
                .map(|c| c.fill())
                .unwrap_or_default(),
            last_collect: self.last_collect,
        }
    }

    fn programs(&self) -> Vec<ProgramStats> {
        let stopped = self.stopped.iter().cloned();
        let running = self.ebpf.programs();
        running
            .filter_map(|(name, program)| stats(name, program))
            .chain(stopped)
            .collect()
    }

    /// What the programs could not record, by reason.
    pub fn lost(&self) -> Vec<LostCount> {
        let Some(lost) = &self.lost else {
            return Vec::new();
        };
        let by_reason = loss::NAMES
            .iter()
            .enumerate()
            .filter_map(|(index, reason)| {
                let per_cpu = lost.get(&u32::try_from(index).ok()?, 0).ok()?;
                let count = per_cpu.iter().sum();
                let stage = if index as u32 == loss::RING_FULL {
                    "ring"
                } else {
                    "kernel"
                };
                Some(LostCount {
                    stream: self.name,
                    stage,
                    reason,
                    count,
                })
            });
        let recursion = LostCount {
            stream: self.name,
            stage: "kernel",
            reason: "recursion",
            count: self.skipped(),
        };
        by_reason.chain([recursion]).collect()
    }

    /// Runs that the kernel skipped and no second program took. Where a second program is skipped the first did not miss
    /// anything, or has counted it.
    fn skipped(&self) -> u64 {
        let taken = self
            .taken
            .as_ref()
            .and_then(|map| map.get(&0, 0).ok())
            .map_or(0, |per_cpu| per_cpu.iter().sum());
        let programs = self.programs();
        let firsts = programs.iter().filter(|it| !it.name.ends_with(AGAIN));
        let skipped: u64 = firsts.map(|it| it.recursion_misses).sum();
        skipped.saturating_sub(taken)
    }
}

/// Stops a program; answers what the kernel has counted of it, or `None` if it was not loaded or goes on.
fn stop(name: &str, program: &mut Program) -> Option<ProgramStats> {
    let last = stats(name, program)?;
    let fd = program.fd().ok()?.try_clone().ok()?;
    let stopped = match program {
        Program::CgroupSkb(program) => program.unload(),
        Program::BtfTracePoint(program) => program.unload(),
        _ => return None,
    };
    if let Err(error) = stopped {
        tracing::debug!(program = name, %error, "a program goes on");
        return None;
    }
    // The kernel keeps the program as long as somebody has it, and skips no more of its runs.
    Some(ProgramStats {
        recursion_misses: recursion_misses(fd),
        ..last
    })
}

/// What the kernel counts of a program. One of the object that is not loaded has no descriptor and no counts.
fn stats(name: &str, program: &Program) -> Option<ProgramStats> {
    let fd = program.fd().ok()?;
    let info = program.info().ok()?;
    Some(ProgramStats {
        name: name.to_owned(),
        run_time: info.run_time(),
        runs: info.run_count(),
        recursion_misses: recursion_misses(fd),
    })
}
