//! The `scheduler` probe: run-queue latency, time on and off the CPU, switches and preemptions by owner.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use aya::Ebpf;
use probe_common::{
    owner::{BY_CGROUP, BY_PROCESS, Process},
    scheduler::{PreemptionKey, Running, SchedStats},
};

use super::{
    Attached, Collector, Options, ProbeSpec,
    pool::{Names, Pool},
    processes,
    shares::Shares,
    table::Table,
};
use crate::{
    kernel::{btf, clock},
    loader::{self, Globals, Kernel, LoadError, Sizes},
    maps::{self, Banks, MapError},
    model::{
        FeatureState, MapFill, Measurements, OwnerId, OwnerKind, PreemptionRow, RunningRow,
        SchedRow,
    },
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "scheduler",
    about: "run-queue latency, time on and off the CPU, switches and preemptors, by container",
    hooks: |_| &["sched_wakeup", "sched_wakeup_new", "sched_switch"],
    attach,
};

/// Number of the table of pairs among those that are shared out.
const PAIRS: usize = 1;

/// Arguments of `sched_switch` from Linux 5.18 on, when the state of the previous task was added (fa2c3254d7cf).
const ARGS_WITH_STATE: usize = 4;

/// Whether task storage may be created under the run-queue lock, which these hooks hold.
///
/// Before Linux 6.4 it came from the general allocator, which may try to wake a kernel thread and wait for that same
/// lock. Then it came from the allocator for BPF, and later from `kmalloc_nolock`: at first by a flag of the map, which
/// is gone again where every storage does and elements have a state.
fn storage_needs_no_lock(types: &btf::Btf) -> bool {
    [
        ("bpf_local_storage_map", "bpf_ma"),
        ("bpf_local_storage_map", "use_kmalloc_nolock"),
        ("bpf_local_storage_elem", "state"),
    ]
    .iter()
    .any(|(structure, field)| types.field_offset(structure, field).is_ok())
}

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    let storage = kernel.task_storage && storage_needs_no_lock(&kernel.types);
    let object: &[u8] = if storage {
        aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/scheduler"))
    } else {
        aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/scheduler_hash"))
    };
    let sizes = options.sizes;
    let mut ebpf = loader::load(
        object,
        &globals(kernel, options)?,
        &[
            ("SCHED", sizes.sched.values()),
            ("SCHED_ENTRIES", sizes.sched.entries),
            ("SCHED_FREE", sizes.sched.entries),
            ("SCHED_RESERVE", sizes.sched_reserve.max(1)),
            ("SCHED_SHARES", sizes.shares),
            ("RUNNING", kernel.possible_cpus),
            ("PREEMPTIONS", sizes.pairs),
            (
                "PROCESSES",
                if options.owners == OwnerKind::Process {
                    sizes.processes
                } else {
                    1
                },
            ),
        ],
    )?;
    let reader = Reader::open(&mut ebpf, kernel, &sizes, options.owners)?;
    if options.owners == OwnerKind::Process {
        loader::attach(&mut ebpf, kernel, processes::RENAME_HOOK)?;
    }
    for hook in (SPEC.hooks)(options) {
        loader::attach(&mut ebpf, kernel, hook)?;
    }
    let state = if storage {
        FeatureState::On
    } else {
        FeatureState::Degraded(
            "task storage cannot be used under the run-queue lock (Linux 6.4): a hash table by thread id, slower".into(),
        )
    };
    let mut attached = Attached::new(SPEC.name, state, ebpf);
    attached.collector = Some(Box::new(reader));
    Ok(attached)
}

fn globals(kernel: &Kernel, options: &Options) -> Result<Globals, LoadError> {
    let has_state = kernel
        .types
        .tracepoint_args("sched_switch")
        .is_some_and(|args| args >= ARGS_WITH_STATE);
    let mut globals = Globals::new();
    let kind = if options.owners == OwnerKind::Process {
        BY_PROCESS
    } else {
        BY_CGROUP
    };
    globals
        .set_log_level(super::log_level(options))
        .set_owner(kernel, kind)?
        .set_divisions([options.sizes.sched_division, options.sizes.pairs_division])
        .set("BANK_ENTRIES", options.sizes.sched.entries)
        .set("BANK_MASK", options.sizes.sched.banks - 1)
        .set("EXCLUSIVE_BANKS", u32::from(options.sizes.sched.exclusive))
        .set("HAS_PREV_STATE", u32::from(has_state))
        // Renamed in Linux 5.14 (2f064a59a11f).
        .set_offset(
            kernel,
            "TASK_STATE",
            &[("task_struct", "__state"), ("task_struct", "state")],
        )?
        .set_offset(kernel, "TASK_ON_CPU", &[("task_struct", "on_cpu")])?;
    Ok(globals)
}

struct Reader {
    sched: Pool<u64, SchedStats>,
    running: Banks<Running>,
    pairs: Table<PreemptionKey, u64>,
    shares: Shares,
    processes: Option<Table<u64, Process>>,
}

impl Reader {
    fn open(
        ebpf: &mut Ebpf,
        kernel: &Kernel,
        sizes: &Sizes,
        owners: OwnerKind,
    ) -> Result<Self, MapError> {
        let names = Names {
            counters: "SCHED",
            entries: "SCHED_ENTRIES",
            free: "SCHED_FREE",
            reserve: Some("SCHED_RESERVE"),
        };
        let running = maps::take(ebpf, "RUNNING")?;
        Ok(Self {
            sched: Pool::open(ebpf, names, sizes.sched, sizes.sched_reserve)?,
            running: Banks::new(running, "RUNNING", 1, kernel.possible_cpus)?,
            pairs: Table::open(ebpf, "PREEMPTIONS", sizes.pairs)?,
            shares: Shares::open(
                ebpf,
                ["SCHED_SHARES", "SCHED_COMMON"],
                sizes.shares,
                [sizes.sched_division, sizes.pairs_division],
            )?,
            processes: processes::open(ebpf, owners, sizes)?,
        })
    }
}

impl Collector for Reader {
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        into.sched.extend(
            self.sched
                .read()?
                .iter()
                .map(|(owner, stats)| row(OwnerId(*owner), stats)),
        );
        into.sched
            .push(row(OwnerId::OVERFLOW, &self.sched.overflow()?));
        into.sched
            .retain(|row| row.voluntary + row.involuntary + row.runqueue.count() > 0);
        let now = clock::monotonic();
        for cpu in 0..self.running.entries() {
            let running = self.running.read(cpu)?;
            if running.owner != 0 {
                let elapsed = now.saturating_sub(Duration::from_nanos(running.since_ns));
                into.running.push(RunningRow {
                    owner: OwnerId(running.owner),
                    elapsed,
                });
            }
        }
        for (key, count) in self.pairs.read()? {
            into.preemptions.push(PreemptionRow {
                victim: OwnerId(key.victim),
                by: OwnerId(key.by),
                count,
            });
        }
        processes::read(self.processes.as_mut(), into)
    }

    fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError> {
        let owners: HashSet<u64> = owners.iter().map(|owner| owner.0).collect();
        self.sched.release(|owner| owners.contains(owner))?;
        self.pairs
            .release(|key| owners.contains(&key.victim) || owners.contains(&key.by))?;
        self.shares.release(|owner| owners.contains(&owner))?;
        // Pairs go with either of both, shares with the victim. Those that stand for many are in nobody's share.
        let mut taken = HashMap::new();
        for pair in self.pairs.keys()? {
            *taken.entry(pair.victim).or_default() += u64::from(pair.by != 0);
        }
        self.shares.recount(PAIRS, &taken)
    }

    fn fill(&self) -> Vec<MapFill> {
        let processes = self.processes.as_ref().map(|table| table.fill(SPEC.name));
        [self.sched.fill(SPEC.name), self.pairs.fill(SPEC.name)]
            .into_iter()
            .chain(processes)
            .collect()
    }
}

fn row(owner: OwnerId, stats: &SchedStats) -> SchedRow {
    SchedRow {
        owner,
        runqueue: stats.runqueue,
        offcpu_voluntary: stats.offcpu_voluntary,
        offcpu_involuntary: stats.offcpu_involuntary,
        uninterruptible: Duration::from_nanos(stats.uninterruptible_ns),
        oncpu: Duration::from_nanos(stats.oncpu_ns),
        voluntary: stats.voluntary,
        involuntary: stats.involuntary,
    }
}
