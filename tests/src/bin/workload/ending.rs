//! Threads and processes that end while calls are in flight.

use std::{io, os::fd::AsFd as _, thread};

use crate::{Done, blocking::wait_until_inside_readv, options::Options, sys};

/// In every round a child process starts `--threads` threads that block in `readv`, one thread that
/// ends by itself, and then ends as a whole. Each killed `readv` returns ERESTARTSYS to the tracer;
/// `exit` and `exit_group` never return.
pub(crate) fn exit_in_call(options: &Options) -> Done {
    let rounds: u64 = options.get_or("--rounds", 5)?;
    let threads: usize = options.get_or("--threads", 4)?;
    for _ in 0..rounds {
        let pid = sys::child(|| end_with_blocked_threads(threads).map_or(1, |()| 0))?;
        if sys::wait(pid, 0)? != 0 {
            return Err("a child failed".into());
        }
    }
    let killed = rounds * threads as u64;
    Ok(format!(
        r#"{{"rounds":{rounds},"readv":{killed},"exit":{rounds}}}"#
    ))
}

fn end_with_blocked_threads(threads: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (reader, writer) = io::pipe()?;
    for _ in 0..threads {
        let reader = reader.try_clone()?;
        thread::spawn(move || sys::readv(reader.as_fd()));
    }
    wait_until_inside_readv(threads)?;
    thread::spawn(|| sys::exit_thread());
    // The writer must live until the process ends, or the readers would see the end of the pipe.
    std::mem::forget(writer);
    Ok(())
}
