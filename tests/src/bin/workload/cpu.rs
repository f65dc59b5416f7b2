//! Known use of the CPU: hogs, bursts, and a known number of switches.

use std::{
    hint::black_box,
    io::{self, Read as _, Write as _},
    thread,
    time::{Duration, Instant},
};

use crate::{Done, options::Options, sys};

/// Takes a CPU for itself for `--seconds`.
pub(crate) fn spin(options: &Options) -> Done {
    pin(options)?;
    let seconds: u64 = options.need("--seconds")?;
    burn(Duration::from_secs(seconds));
    Ok(format!(r#"{{"seconds":{seconds}}}"#))
}

/// Computes in bursts that are longer than a scheduler's slice, so that a hog on the same CPU
/// preempts it.
pub(crate) fn victim(options: &Options) -> Done {
    pin(options)?;
    let seconds: u64 = options.need("--seconds")?;
    let burst = Duration::from_millis(options.get_or("--burst-ms", 20)?);
    let pause = Duration::from_millis(options.get_or("--pause-ms", 5)?);
    let begin = Instant::now();
    let mut bursts = 0u64;
    while begin.elapsed() < Duration::from_secs(seconds) {
        burn(burst);
        sys::nanosleep(pause)?;
        bursts += 1;
    }
    Ok(format!(r#"{{"seconds":{seconds},"bursts":{bursts}}}"#))
}

/// Two threads on one CPU that wake each other by pipes: two switches a round.
///
/// A woken thread may preempt the one that woke it, so the kind of a switch is not known.
///
/// The other thread stays until the process ends, so that its counters in /proc do too.
pub(crate) fn pingpong(options: &Options) -> Done {
    let rounds: u64 = options.need("--rounds")?;
    sys::pin(options.get_or("--cpu", 0)?)?;
    let (ping_in, mut ping_out) = io::pipe()?;
    let (mut pong_in, pong_out) = io::pipe()?;
    thread::spawn(move || echo(ping_in, pong_out));
    let mut byte = [0u8];
    for _ in 0..rounds {
        ping_out.write_all(&byte)?;
        pong_in.read_exact(&mut byte)?;
    }
    // The echo thread ends when its pipe does, and must not.
    std::mem::forget(ping_out);
    Ok(format!(
        r#"{{"rounds":{rounds},"switches":{}}}"#,
        2 * rounds
    ))
}

fn echo(mut from: io::PipeReader, mut to: io::PipeWriter) -> io::Result<()> {
    let mut byte = [0u8];
    loop {
        from.read_exact(&mut byte)?;
        to.write_all(&byte)?;
    }
}

/// `--count` threads, two at a time, each of which computes for `--ms` milliseconds and ends.
pub(crate) fn threads(options: &Options) -> Done {
    let count: u64 = options.need("--count")?;
    let time = Duration::from_millis(options.get_or("--ms", 2)?);
    for _ in 0..count / 2 {
        let pair = [(); 2].map(|()| thread::spawn(move || burn(time)));
        for thread in pair {
            thread.join().map_err(|_| "a thread panicked")?;
        }
    }
    Ok(format!(r#"{{"threads":{}}}"#, count / 2 * 2))
}

fn pin(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(cpu) = options.get("--cpu")? {
        sys::pin(cpu)?;
    }
    Ok(())
}

/// Computes for a span of wall-clock time.
fn burn(time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        for number in 0..1000u32 {
            black_box(number);
        }
    }
}
