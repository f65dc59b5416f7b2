//! Exact numbers of calls and errors.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use crate::{Done, options::Options, sys};

/// No `which` of `ioprio_get`.
const BAD_WHICH: usize = 99;
/// No pid: above the kernel's highest.
const BAD_WHO: usize = 1 << 30;

/// `--calls` calls of ioprio_get, `--errors` of which fail: the odd ones with EINVAL, the even
/// ones with ESRCH; `--other` calls of sched_get_priority_max, none of which fails.
pub(crate) fn syscalls(options: &Options) -> Done {
    let calls: u64 = options.need("--calls")?;
    let errors: u64 = options.get_or("--errors", 0)?;
    let other: u64 = options.get_or("--other", 0)?;
    let threads: u64 = options.get_or("--threads", 1)?;
    if errors > calls || threads == 0 {
        return Err("--errors is at most --calls, --threads at least 1".into());
    }
    let workers: Vec<_> = (0..threads)
        .map(|index| thread::spawn(move || worker(calls, errors, other, index, threads)))
        .collect();
    for worker in workers {
        worker.join().map_err(|_| "a thread panicked")??;
    }
    let (einval, esrch) = (errors.div_ceil(2), errors / 2);
    Ok(format!(
        r#"{{"syscall":"ioprio_get","calls":{calls},"errors":{errors},"errnos":{{"EINVAL":{einval},"ESRCH":{esrch}}},"other":{other}}}"#
    ))
}

/// Every `threads`-th call, starting with number `index`.
fn worker(calls: u64, errors: u64, other: u64, index: u64, threads: u64) -> io::Result<()> {
    let step = usize::try_from(threads).map_err(io::Error::other)?;
    for number in (index..calls).step_by(step) {
        let result = match number {
            _ if number >= errors => sys::ioprio_get(sys::WHO_PROCESS, 0),
            _ if number % 2 == 0 => sys::ioprio_get(BAD_WHICH, 0),
            _ => sys::ioprio_get(sys::WHO_PROCESS, BAD_WHO),
        };
        if result.is_err() != (number < errors) {
            return Err(io::Error::other(format!(
                "call {number} answered {result:?}"
            )));
        }
    }
    for _ in (index..other).step_by(step) {
        sys::sched_get_priority_max(0)?;
    }
    Ok(())
}

/// ioprio_get at a constant rate, by a thread with a name of its own.
pub(crate) fn steady(options: &Options) -> Done {
    let rate: u32 = options.need("--per-second")?;
    let seconds: u32 = options.need("--seconds")?;
    let begin = Instant::now();
    let calls = rate * seconds;
    let worker = thread::Builder::new().name("np-worker".into());
    let worker = worker.spawn(move || {
        for number in 0..calls {
            let due = Duration::from_secs(1) * number / rate;
            if let Some(early) = due.checked_sub(begin.elapsed()) {
                thread::sleep(early);
            }
            sys::ioprio_get(sys::WHO_PROCESS, 0)?;
        }
        io::Result::Ok(())
    })?;
    worker.join().map_err(|_| "the thread panicked")??;
    Ok(format!(
        r#"{{"syscall":"ioprio_get","calls":{calls},"errors":0}}"#
    ))
}

/// `--calls` calls of nanosleep, `--ms` milliseconds each.
pub(crate) fn sleep(options: &Options) -> Done {
    let calls: u64 = options.get_or("--calls", 1)?;
    let ms: u64 = options.get_or("--ms", 50)?;
    for _ in 0..calls {
        sys::nanosleep(Duration::from_millis(ms))?;
    }
    Ok(format!(
        r#"{{"syscall":"nanosleep","calls":{calls},"errors":0,"ms":{ms}}}"#
    ))
}
