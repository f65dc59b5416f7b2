//! Operations whose time is measured: a system call that does nothing, a byte that goes to and fro,
//! and packets.
//!
//! They run in threads of their own, which are pinned and, where that is allowed, have a real-time
//! priority. The time of an operation is that of the fastest of many slices: what disturbs a slice
//! only ever makes it slower. Packets have the median instead, because a tool that falls behind
//! costs less.

pub mod packets;

use std::{
    hint::black_box,
    io::{PipeReader, PipeWriter, Read as _, Write as _, pipe},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use super::spread::Spread;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// `getppid`; an operation is a call.
    Syscall,
    /// Two threads on one CPU that wake one another through pipes; an operation is one wake-up and
    /// one switch.
    PingPong,
    /// The same on two CPUs, which are idle in between.
    PingPongAcross,
    /// A datagram over loopback; an operation sends it and receives it.
    Datagram,
    /// A small segment of an established TCP connection over loopback, in the same way.
    Segment,
}

/// What a workload did.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Time of one operation in the fastest slice.
    pub fastest_ns: f64,
    /// That in the slice in the middle.
    pub median_ns: f64,
    /// Operations, those before the first slice included.
    pub operations: u64,
}

impl Workload {
    /// Does that many slices of a few milliseconds each, and calls `between` before the first and
    /// after every one.
    ///
    /// # Errors
    ///
    /// If there are not enough CPUs, or a thread or pipe cannot be had.
    pub fn run(self, slices: u32, between: impl FnMut() + Send + 'static) -> Result<Done> {
        let [first, second] = cpus()?;
        match self {
            Self::Syscall => in_thread(first, move || Ok(syscalls(slices, between))),
            Self::PingPong => ping_pong(first, first, slices, between),
            Self::PingPongAcross => {
                ensure!(first != second, "this needs two CPUs");
                ping_pong(first, second, slices, between)
            }
            Self::Datagram => in_thread(first, move || packets::datagrams(slices, between)),
            Self::Segment => in_thread(first, move || packets::segments(slices, between)),
        }
    }

    /// Whether it is about packets.
    pub fn is_of_packets(self) -> bool {
        matches!(self, Self::Datagram | Self::Segment)
    }

    /// The wall time of an operation that stands for what was done.
    pub fn wall_ns(self, done: &Done) -> f64 {
        if self.is_of_packets() {
            done.median_ns
        } else {
            done.fastest_ns
        }
    }
}

/// The first and the last CPU that this process may use.
fn cpus() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(None).context("ask for the CPUs")?;
    let mut allowed = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
    let first = allowed.next().context("there is a CPU")?;
    Ok([first, allowed.next_back().unwrap_or(first)])
}

fn syscalls(slices: u32, between: impl FnMut()) -> Done {
    const CALLS: u32 = 10_000;
    timed(slices, CALLS, 1, between, || {
        for _ in 0..CALLS {
            black_box(rustix::process::getppid());
        }
        Ok(())
    })
    .unwrap_or_else(|never: std::convert::Infallible| match never {})
}

fn ping_pong(
    here: usize,
    there: usize,
    slices: u32,
    between: impl FnMut() + Send + 'static,
) -> Result<Done> {
    const TRIPS: u32 = 1_000;
    let (from_us, to_them) = pipe().context("make a pipe")?;
    let (from_them, to_us) = pipe().context("make a pipe")?;
    let echo = thread::spawn(move || pinned(there, || echo(from_us, to_us)));
    let done = in_thread(here, move || {
        ping(from_them, to_them, slices, TRIPS, between)
    });
    // Their end of the pipe is closed, so they end.
    echo.join()
        .map_err(|_| anyhow!("the other thread panicked"))??;
    done
}

fn ping(
    mut from: PipeReader,
    mut to: PipeWriter,
    slices: u32,
    trips: u32,
    between: impl FnMut(),
) -> Result<Done> {
    timed(slices, trips, 2, between, || {
        let mut byte = [0];
        for _ in 0..trips {
            to.write_all(&byte)?;
            from.read_exact(&mut byte)?;
        }
        Ok(())
    })
    .map_err(|error: std::io::Error| anyhow!(error).context("send a byte to and fro"))
}

/// Sends every byte back until the other side closes.
fn echo(mut from: PipeReader, mut to: PipeWriter) -> Result<()> {
    let mut byte = [0];
    while from.read(&mut byte)? > 0 {
        to.write_all(&byte)?;
    }
    Ok(())
}

/// Runs `slice`, of `times * each` operations, once to warm up and then `slices` times.
fn timed<E>(
    slices: u32,
    times: u32,
    each: u32,
    mut between: impl FnMut(),
    mut slice: impl FnMut() -> Result<(), E>,
) -> Result<Done, E> {
    let operations = times * each;
    slice()?;
    between();
    let mut times = Vec::new();
    for _ in 0..slices {
        let begin = Instant::now();
        slice()?;
        let took = begin.elapsed().as_nanos() as f64;
        between();
        times.push(took / f64::from(operations));
    }
    let times = Spread::of(times);
    let operations = u64::from(slices + 1) * u64::from(operations);
    Ok(Done {
        fastest_ns: times.map_or(f64::NAN, |times| times.min),
        median_ns: times.map_or(f64::NAN, |times| times.median),
        operations,
    })
}

fn in_thread<T: Send + 'static>(
    cpu: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    thread::spawn(move || pinned(cpu, work))
        .join()
        .map_err(|_| anyhow!("a thread of the workload panicked"))?
}

fn pinned<T>(cpu: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).with_context(|| format!("pin a thread to CPU {cpu}"))?;
    real_time();
    work()
}

/// Gives this thread a real-time priority, so that nothing else runs in between; answers whether
/// that is allowed.
pub(super) fn real_time() -> bool {
    let param = libc::sched_param { sched_priority: 10 };
    // SAFETY: the kernel only reads `param`. 0 is the calling thread, which ends with its work.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) == 0 }
}
