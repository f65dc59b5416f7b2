//! Tools that measure the same things in other ways: libbpf-tools and bpftrace.

use std::{
    fs,
    io::{Read as _, Seek as _},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail};
use aya::sys::{Stats, enable_stats};

use crate::{
    bench::programs,
    guard::Process,
    isolate::Isolate as _,
    skip::program,
    wait::{LONG, poll},
};

/// A tool in one of its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// `syscount`: calls by system call.
    Syscount,
    /// `syscount -L`: with their summed durations.
    SyscountLatency,
    /// `bpftrace`: calls by cgroup.
    BpftraceCount,
    /// `bpftrace`: histograms of durations by cgroup.
    BpftraceHistogram,
    /// `runqlat`: one histogram of run-queue latency.
    Runqlat,
    /// `bpftrace`: the same.
    BpftraceRunqlat,
}

const COUNT: &str = "tracepoint:raw_syscalls:sys_exit { @[cgroup] = count(); }";

const HISTOGRAM: &str = "tracepoint:raw_syscalls:sys_enter { @start[tid] = nsecs; } \
    tracepoint:raw_syscalls:sys_exit /@start[tid]/ { @[cgroup] = hist(nsecs - @start[tid]); \
    delete(@start[tid]); }";

/// As the `runqlat.bt` that comes with it, without the header, which minimal systems do not have.
const RUNQLAT: &str = "tracepoint:sched:sched_wakeup { @queued[args->pid] = nsecs; } \
    tracepoint:sched:sched_wakeup_new { @queued[args->pid] = nsecs; } \
    tracepoint:sched:sched_switch { \
    if (args->prev_state == 0) { @queued[args->prev_pid] = nsecs; } \
    $since = @queued[args->next_pid]; if ($since) { @ = hist((nsecs - $since) / 1000); } \
    delete(@queued[args->next_pid]); }";

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syscount => "syscount",
            Self::SyscountLatency => "syscount -L",
            Self::BpftraceCount => "bpftrace count by cgroup",
            Self::BpftraceHistogram => "bpftrace hist by cgroup",
            Self::Runqlat => "runqlat",
            Self::BpftraceRunqlat => "bpftrace runqlat",
        }
    }

    /// Program, its Debian package, arguments, and how many BPF programs it attaches.
    fn command(self) -> (&'static str, &'static str, &'static [&'static str], usize) {
        const LIBBPF: &str = "libbpf-tools";
        const BPFTRACE: &str = "bpftrace";
        match self {
            Self::Syscount => ("syscount", LIBBPF, &[], 1),
            Self::SyscountLatency => ("syscount", LIBBPF, &["-L"], 2),
            Self::BpftraceCount => (BPFTRACE, BPFTRACE, &["-e", COUNT], 1),
            Self::BpftraceHistogram => (BPFTRACE, BPFTRACE, &["-e", HISTOGRAM], 2),
            Self::Runqlat => ("runqlat", LIBBPF, &["3600"], 3),
            Self::BpftraceRunqlat => (BPFTRACE, BPFTRACE, &["-e", RUNQLAT], 3),
        }
    }

    /// Starts the tool and waits until its programs run.
    pub(super) fn start(self) -> Result<Process> {
        let (name, package, args, programs) = self.command();
        let mut log = tempfile::tempfile().context("make a file for what it says")?;
        let mut command = Command::new(program(name, package)?);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.stderr(log.try_clone().context("share the file")?);
        if !fs::exists("/sys/kernel/tracing/events").unwrap_or(false) {
            command.with_tracefs();
        }
        let mut process = Process::spawn(&mut command)?;
        let statistics = enable_stats(Stats::RunTime).context("enable BPF statistics")?;
        let running = poll(LONG, "the programs of a tool to run", || {
            // A thread that starts and ends passes every hook.
            thread::spawn(rustix::process::getppid).join().ok();
            let running = programs::have_run(process.pid(), programs).unwrap_or(false);
            (running || process.has_ended()).then_some(running)
        })?;
        drop(statistics);
        if !running {
            let mut text = String::new();
            log.rewind()
                .and_then(|()| log.read_to_string(&mut text))
                .context("read what it says")?;
            bail!("{name} ended: {}", text.trim());
        }
        Ok(process)
    }
}
