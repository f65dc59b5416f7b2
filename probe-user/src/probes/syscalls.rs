//! The `syscalls` probe: calls, errors and durations by owner and system call.

use std::collections::HashSet;

use aya::Ebpf;
use probe_common::{
    hist::Histogram,
    owner::{BY_CGROUP, BY_PROCESS, Process},
    syscalls::{ErrnoKey, SyscallKey, SyscallStats},
};

use super::{
    Attached, Collector, Options, ProbeSpec,
    pool::{Names, Pool},
    processes,
    table::Table,
};
use crate::{
    loader::{self, Globals, Kernel, LoadError, Sizes},
    maps::MapError,
    model::{
        ErrnoRow, FeatureState, MapFill, Measurements, OwnerId, OwnerKind, Syscall, SyscallRow,
    },
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "syscalls",
    about: "calls, errors by errno and durations, by container and system call",
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

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    let storage = kernel.task_storage;
    let object: &[u8] = if storage {
        aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/syscalls"))
    } else {
        aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/syscalls_hash"))
    };
    let sizes = options.sizes;
    let mut ebpf = loader::load(
        object,
        &globals(kernel, options)?,
        &[
            ("CALLS", sizes.calls.values()),
            ("CALL_ENTRIES", sizes.calls.entries),
            ("CALLS_FREE", sizes.calls.entries),
            ("CALLS_RESERVE", sizes.calls_reserve.max(1)),
            ("COUNTDOWN", kernel.possible_cpus),
            ("ERRNOS", sizes.errnos),
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
    let reader = Reader::open(&mut ebpf, &sizes, options.owners)?;
    if !storage {
        loader::attach(&mut ebpf, kernel, "sched_process_exit")?;
    }
    if options.latency != Latency::Off {
        loader::attach(&mut ebpf, kernel, "sys_enter")?;
    }
    loader::attach(&mut ebpf, kernel, "sys_exit")?;
    let state = if storage {
        FeatureState::On
    } else {
        FeatureState::Degraded(
            "no task storage (Linux 5.11): a hash table by thread id, slower".into(),
        )
    };
    let mut attached = Attached::new(SPEC.name, state, ebpf);
    attached.collector = Some(Box::new(reader));
    Ok(attached)
}

fn globals(kernel: &Kernel, options: &Options) -> Result<Globals, LoadError> {
    let mut globals = Globals::new();
    let kind = if options.owners == OwnerKind::Process {
        BY_PROCESS
    } else {
        BY_CGROUP
    };
    globals
        .set_log_level(super::log_level(options))
        .set_owner(kernel, kind)?
        .set("BANK_ENTRIES", options.sizes.calls.entries)
        .set("BANK_MASK", options.sizes.calls.banks - 1)
        .set(
            "EXCLUSIVE_BANKS",
            u32::from(options.sizes.calls.exclusive && !kernel.preemptible),
        )
        .set(
            "SAMPLE_EVERY",
            match options.latency {
                Latency::Off | Latency::Exact => 1,
                Latency::Sampled(every) => every.clamp(1, MAX_SAMPLE),
            },
        );
    arch::set(kernel, &mut globals)?;
    Ok(globals)
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use super::{Globals, Kernel, LoadError};

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
            .set_offset(kernel, "REGS_NR", &[("pt_regs", "orig_ax")])?
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
    use probe_common::syscalls::NR_OTHER;

    /// `TIF_32BIT` of arch/arm64/include/asm/thread_info.h, as a bit of the lower half of `flags`.
    const TIF_32BIT: u32 = 1 << 22;
    /// clone and clone3; AArch32 fork, vfork, clone and clone3.
    const FORKS: [u16; 8] = [220, 435, NR_OTHER, NR_OTHER, 2, 190, 120, 435];
    /// rt_sigreturn. It forgets the number (arch/arm64/kernel/signal.c).
    const SIGRETURN: u32 = 139;

    pub(super) fn set(kernel: &Kernel, globals: &mut Globals) -> Result<(), LoadError> {
        let thread_info = kernel.types.field_offset("task_struct", "thread_info")?;
        let flags = kernel.types.field_offset("thread_info", "flags")?;
        globals
            .set_offset(kernel, "REGS_NR", &[("pt_regs", "syscallno")])?
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
        self.errnos.release(|key| owners.contains(&key.owner))
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
