//! The `syscalls` probe: calls, errors and durations by owner and system call.

use std::collections::HashSet;

use aya::{Ebpf, maps::Array};
use probe_common::{
    hist::Histogram,
    owner::{BY_CGROUP, BY_PROCESS, Process},
    syscalls::{
        ABI_COMPAT, ABI_NATIVE, ErrnoKey, NAMED_WORDS, NR_LIMIT, SyscallKey, SyscallStats,
        named_bit,
    },
};

use super::{
    Attached, Collector, Options, ProbeSpec,
    pool::{Names, Pool},
    processes,
    shares::Shares,
    table::Table,
};
use crate::{
    loader::{self, Globals, Kernel, LoadError, Sizes},
    logs::chain,
    maps::MapError,
    model::{
        ErrnoRow, FeatureState, MapFill, Measurements, OwnerId, OwnerKind, Syscall, SyscallRow,
    },
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "syscalls",
    about: "calls, errors by errno and durations, by container and system call",
    hooks: |options| match options.latency {
        Latency::Off => &["sys_exit"],
        Latency::Sampled(_) | Latency::Exact => &["sys_enter", "sys_exit"],
    },
    attach,
};

/// Which calls are timed. Timing needs a second hook and two readings of the clock per call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// None: calls and errors only.
    Off,
    /// One call in this many, chosen at random.
    Sampled(u32),
    /// All.
    Exact,
}

/// Largest number of calls of which one is timed.
pub const MAX_SAMPLE: u32 = 1 << 20;

/// How the programs are attached, and where they keep what they know of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// Typed programs, task storage.
    Typed,
    /// Perf-style tracepoints, task storage.
    Perf,
    /// Typed programs, a hash table by thread id.
    Hash,
}

impl Variant {
    fn object(self) -> &'static [u8] {
        match self {
            Self::Typed => aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/syscalls")),
            Self::Perf => aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/syscalls_perf")),
            Self::Hash => aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/syscalls_hash")),
        }
    }
}

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    if !kernel.task_storage {
        let reason = "no task storage (Linux 5.11): a hash table by thread id, slower";
        return attach_as(
            Variant::Hash,
            FeatureState::Degraded(reason.into()),
            kernel,
            options,
        );
    }
    if !kernel.preemptible {
        return attach_as(Variant::Typed, FeatureState::On, kernel, options);
    }
    attach_as(Variant::Perf, FeatureState::On, kernel, options).or_else(|error| {
        let reason = format!(
            "this kernel skips the programs of a whole CPU while one of them is preempted; what that misses is counted \
             as `recursion`. The perf-style tracepoints would miss none, but: {}",
            chain(&error)
        );
        attach_as(
            Variant::Typed,
            FeatureState::Degraded(reason),
            kernel,
            options,
        )
    })
}

fn attach_as(
    variant: Variant,
    state: FeatureState,
    kernel: &Kernel,
    options: &Options,
) -> Result<Attached, LoadError> {
    let sizes = options.sizes;
    let mut ebpf = loader::load(
        variant.object(),
        &globals(variant, kernel, options)?,
        &[
            ("CALLS", sizes.calls.values()),
            ("CALL_ENTRIES", sizes.calls.entries),
            ("CALLS_FREE", sizes.calls.entries),
            ("CALLS_RESERVE", sizes.calls_reserve.max(1)),
            ("COUNTDOWN", kernel.possible_cpus),
            ("ERRNOS", sizes.errnos),
            ("CALL_SHARES", sizes.shares),
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
    name_calls(&mut ebpf)?;
    let reader = Reader::open(&mut ebpf, &sizes, options.owners)?;
    if options.owners == OwnerKind::Process {
        loader::attach(&mut ebpf, kernel, processes::RENAME_HOOK)?;
    }
    if variant == Variant::Hash {
        loader::attach(&mut ebpf, kernel, "sched_process_exit")?;
    }
    for tracepoint in (SPEC.hooks)(options) {
        if variant == Variant::Perf {
            loader::attach_perf(&mut ebpf, "raw_syscalls", tracepoint)?;
        } else {
            loader::attach(&mut ebpf, kernel, tracepoint)?;
        }
    }
    let mut attached = Attached::new(SPEC.name, state, ebpf);
    attached.collector = Some(Box::new(reader));
    Ok(attached)
}

fn globals(variant: Variant, kernel: &Kernel, options: &Options) -> Result<Globals, LoadError> {
    let mut globals = Globals::new();
    let kind = if options.owners == OwnerKind::Process {
        BY_PROCESS
    } else {
        BY_CGROUP
    };
    globals
        .set_log_level(super::log_level(options))
        .set_owner(kernel, kind)?
        .set_divisions([options.sizes.calls_division, options.sizes.errnos_division])
        .set("BANK_ENTRIES", options.sizes.calls.entries)
        .set("BANK_MASK", options.sizes.calls.banks - 1)
        .set(
            "EXCLUSIVE_BANKS",
            u32::from(
                options.sizes.calls.exclusive && (variant == Variant::Perf || !kernel.preemptible),
            ),
        )
        .set(
            "SAMPLE_EVERY",
            match options.latency {
                Latency::Off | Latency::Exact => 1,
                Latency::Sampled(every) => every.clamp(1, MAX_SAMPLE),
            },
        );
    if variant == Variant::Perf {
        globals.set("RECORD_ID", record_id(kernel)?);
    } else {
        globals.set_offset(kernel, "REGS_NR", &[("pt_regs", arch::NUMBER)])?;
    }
    arch::set(kernel, &mut globals)?;
    Ok(globals)
}

/// Tells the programs which numbers have a name.
fn name_calls(ebpf: &mut Ebpf) -> Result<(), MapError> {
    const MAP: &str = "NAMED";
    let failed = |source| MapError::Aya { map: MAP, source };
    let map = ebpf.map_mut(MAP).ok_or(MapError::Missing(MAP))?;
    let mut words: Array<_, u64> = map.try_into().map_err(failed)?;
    for (index, word) in (0..).zip(named_calls()) {
        words.set(index, word, 0).map_err(failed)?;
    }
    Ok(())
}

/// The bitmap of the calls that have a name, see [`named_bit`].
fn named_calls() -> [u64; NAMED_WORDS] {
    let mut words = [0; NAMED_WORDS];
    for abi in [ABI_NATIVE, ABI_COMPAT] {
        for nr in (0..NR_LIMIT).filter(|nr| Syscall { nr: *nr, abi }.is_named()) {
            let (word, bit) = named_bit(nr, abi);
            words[word as usize] |= bit;
        }
    }
    words
}

/// Offset of `id` in the record of `raw_syscalls:sys_exit`, where `ret` follows.
fn record_id(kernel: &Kernel) -> Result<u32, LoadError> {
    const RECORD: &str = "trace_event_raw_sys_exit";
    let id = kernel.types.field_offset(RECORD, "id")?;
    let ret = kernel.types.field_offset(RECORD, "ret")?;
    if ret == id + size_of::<i64>() as u32 {
        Ok(id)
    } else {
        Err(LoadError::Unsupported(
            format!("in `{RECORD}` the result does not follow the number").into(),
        ))
    }
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::{Globals, Kernel, LoadError};

    /// Member of `pt_regs` with the number of the call.
    pub(super) const NUMBER: &str = "orig_ax";
    /// `TS_COMPAT` of arch/x86/include/asm/thread_info.h.
    const TS_COMPAT: u32 = 0x0002;
    /// fork, vfork, clone and clone3 of the native table and of the 32-bit one.
    const FORKS: [u16; 8] = [57, 58, 56, 435, 2, 190, 120, 435];
    /// rt_sigreturn of the native table. It sets `orig_ax` to -1 (arch/x86/kernel/signal.c).
    const SIGRETURN: u32 = 15;

    pub(super) fn set(kernel: &Kernel, globals: &mut Globals) -> Result<(), LoadError> {
        let thread_info = kernel.types.field_offset("task_struct", "thread_info")?;
        let status = kernel.types.field_offset("thread_info", "status")?;
        globals
            .set("TASK_COMPAT", thread_info + status)
            .set("COMPAT_MASK", TS_COMPAT)
            .set("NR_SIGRETURN", SIGRETURN)
            .set_numbers("FORKS", FORKS);
        Ok(())
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    use super::{Globals, Kernel, LoadError};
    use probe_common::syscalls::NR_LIMIT;

    /// Member of `pt_regs` with the number of the call.
    pub(super) const NUMBER: &str = "syscallno";
    /// `TIF_32BIT` of arch/arm64/include/asm/thread_info.h, as a bit of the lower half of `flags`.
    const TIF_32BIT: u32 = 1 << 22;
    /// clone and clone3; AArch32 fork, vfork, clone and clone3.
    const FORKS: [u16; 8] = [220, 435, NR_LIMIT, NR_LIMIT, 2, 190, 120, 435];
    /// rt_sigreturn. It forgets the number (arch/arm64/kernel/signal.c).
    const SIGRETURN: u32 = 139;

    pub(super) fn set(kernel: &Kernel, globals: &mut Globals) -> Result<(), LoadError> {
        let thread_info = kernel.types.field_offset("task_struct", "thread_info")?;
        let flags = kernel.types.field_offset("thread_info", "flags")?;
        globals
            .set("TASK_COMPAT", thread_info + flags)
            .set("COMPAT_MASK", TIF_32BIT)
            .set("NR_SIGRETURN", SIGRETURN)
            .set_numbers("FORKS", FORKS);
        Ok(())
    }
}

struct Reader {
    calls: Pool<SyscallKey, SyscallStats>,
    errnos: Table<ErrnoKey, u64>,
    shares: Shares,
    processes: Option<Table<u64, Process>>,
}

impl Reader {
    fn open(ebpf: &mut Ebpf, sizes: &Sizes, owners: OwnerKind) -> Result<Self, MapError> {
        let names = Names {
            counters: "CALLS",
            entries: "CALL_ENTRIES",
            free: "CALLS_FREE",
            reserve: Some("CALLS_RESERVE"),
        };
        Ok(Self {
            calls: Pool::open(ebpf, names, sizes.calls, sizes.calls_reserve)?,
            errnos: Table::open(ebpf, "ERRNOS", sizes.errnos)?,
            shares: Shares::open(
                ebpf,
                ["CALL_SHARES", "CALL_COMMON"],
                sizes.shares,
                [sizes.calls_division, sizes.errnos_division],
            )?,
            processes: processes::open(ebpf, owners, sizes)?,
        })
    }
}

impl Collector for Reader {
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        for (key, stats) in self.calls.read()? {
            into.syscalls.push(row(
                OwnerId(key.owner),
                Syscall {
                    nr: key.nr,
                    abi: key.abi,
                },
                &stats,
            ));
        }
        into.syscalls.push(row(
            OwnerId::OVERFLOW,
            Syscall::OTHER,
            &self.calls.overflow()?,
        ));
        into.syscalls.retain(|row| row.calls > 0);
        for (key, count) in self.errnos.read()? {
            into.errnos.push(ErrnoRow {
                owner: OwnerId(key.owner),
                syscall: Syscall {
                    nr: key.nr,
                    abi: key.abi,
                },
                errno: key.errno as u16,
                count,
            });
        }
        processes::read(self.processes.as_mut(), into)
    }

    fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError> {
        let owners: HashSet<u64> = owners.iter().map(|owner| owner.0).collect();
        self.calls.release(|key| owners.contains(&key.owner))?;
        self.errnos.release(|key| owners.contains(&key.owner))?;
        self.shares.release(|owner| owners.contains(&owner))
    }

    fn fill(&self) -> Vec<MapFill> {
        let processes = self.processes.as_ref().map(|table| table.fill(SPEC.name));
        [self.calls.fill(SPEC.name), self.errnos.fill(SPEC.name)]
            .into_iter()
            .chain(processes)
            .collect()
    }
}

fn row(owner: OwnerId, syscall: Syscall, stats: &SyscallStats) -> SyscallRow {
    let latency = Histogram {
        sum_ns: stats.sum_ns,
        buckets: stats.buckets,
    };
    SyscallRow {
        owner,
        syscall,
        calls: stats.untimed + latency.count(),
        errors: stats.errors,
        latency,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_has_a_bit_for_each_call_with_a_name_and_no_other() {
        let words = named_calls();
        for abi in [ABI_NATIVE, ABI_COMPAT] {
            for nr in 0..NR_LIMIT {
                let (word, bit) = named_bit(nr, abi);
                let is_set = words[word as usize] & bit != 0;
                assert_eq!(is_set, Syscall { nr, abi }.is_named(), "{nr} {abi}");
            }
        }
        assert!(words.iter().any(|word| *word != 0));
    }
}
