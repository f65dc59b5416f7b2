//! Calls that something else happens in the middle of.

use std::{
    error::Error,
    fs,
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    thread,
    time::Duration,
};

use crate::{Done, options::Options, stage, sys};

/// A thread that is inside `readv` when it is announced as ready; SIGUSR1 lets the call return.
pub(crate) fn blocked(_options: &Options) -> Done {
    let (reader, mut writer) = io::pipe()?;
    let thread = thread::spawn(move || sys::readv(reader.as_fd()));
    wait_until_inside_readv(1)?;
    stage::ready_and_wait()?;
    writer.write_all(b"x")?;
    let read = thread.join().map_err(|_| "the reader panicked")??;
    Ok(format!(
        r#"{{"syscall":"readv","calls":1,"errors":0,"read":{read}}}"#
    ))
}

/// `--calls` calls of ioprio_get here, then the whole process moves to another cgroup while a
/// thread is inside `readv`, then `--calls` calls there. `--procs` names the other cgroup's
/// `cgroup.procs`.
pub(crate) fn move_cgroup(options: &Options) -> Done {
    let procs: PathBuf = options.need("--procs")?;
    let calls: u64 = options.get_or("--calls", 100)?;
    let (reader, mut writer) = io::pipe()?;
    let thread = thread::spawn(move || sys::readv(reader.as_fd()));
    wait_until_inside_readv(1)?;
    (0..calls).try_for_each(|_| sys::ioprio_get(sys::WHO_PROCESS, 0).map(drop))?;
    fs::write(&procs, "0").map_err(|error| format!("move to {}: {error}", procs.display()))?;
    writer.write_all(b"x")?;
    thread.join().map_err(|_| "the reader panicked")??;
    (0..calls).try_for_each(|_| sys::ioprio_get(sys::WHO_PROCESS, 0).map(drop))?;
    Ok(format!(
        r#"{{"syscall":"ioprio_get","before":{calls},"after":{calls},"readv":1}}"#
    ))
}

/// Polls until `count` threads of this process are inside `readv`.
pub(crate) fn wait_until_inside_readv(count: usize) -> Result<(), Box<dyn Error>> {
    wait_until_inside(std::process::id().cast_signed(), sys::nr::READV, count)
}

/// Polls until `count` threads of a process are inside a system call.
pub(crate) fn wait_until_inside(pid: i32, number: i64, count: usize) -> Result<(), Box<dyn Error>> {
    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
    for _ in 0..6000 {
        let inside = fs::read_dir(&tasks)?
            .filter_map(Result::ok)
            .filter_map(|task| fs::read_to_string(task.path().join("syscall")).ok())
            .filter(|line| line.split(' ').next() == Some(number.to_string().as_str()))
            .count();
        if inside >= count {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err(format!("fewer than {count} threads of {pid} reached system call {number}").into())
}
