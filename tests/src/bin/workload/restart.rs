//! Calls that a signal interrupts and the kernel starts again.

use std::{
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::Duration,
};

use crate::{Done, blocking::wait_until_inside, options::Options, sys};

/// In every round, one `nanosleep` that is stopped and continued, which `restart_syscall` carries
/// on; and one `readv` that a handler with SA_RESTART interrupts, which is entered twice.
pub(crate) fn restart(options: &Options) -> Done {
    let rounds: u64 = options.get_or("--rounds", 5)?;
    for _ in 0..rounds {
        stopped_sleep()?;
        interrupted_read()?;
    }
    Ok(format!(
        r#"{{"nanosleep":{rounds},"restart_syscall":{rounds},"readv":{}}}"#,
        2 * rounds
    ))
}

fn stopped_sleep() -> Result<(), Box<dyn std::error::Error>> {
    let pid = sys::child(|| i32::from(sys::nanosleep(Duration::from_millis(1500)).is_err()))?;
    let stopped = wait_until_inside(pid, sys::nr::NANOSLEEP, 1)
        .and_then(|()| Ok(sys::kill(pid, sys::SIGSTOP)?))
        .and_then(|()| Ok(sys::wait(pid, sys::WUNTRACED)?));
    if !stopped.is_ok_and(|status| status & 0xff == 0x7f) {
        // It may be gone already; the wait below tells.
        sys::kill(pid, sys::SIGKILL).ok();
    }
    sys::kill(pid, sys::SIGCONT)?;
    end(pid)
}

fn interrupted_read() -> Result<(), Box<dyn std::error::Error>> {
    let (reader, mut writer) = io::pipe()?;
    sys::handle_and_restart(sys::SIGUSR2);
    let pid = sys::child(|| i32::from(sys::readv(reader.as_fd()).is_err()))?;
    wait_until_inside(pid, sys::nr::READV, 1)?;
    sys::kill(pid, sys::SIGUSR2)?;
    wait_until_handled(pid)?;
    wait_until_inside(pid, sys::nr::READV, 1)?;
    writer.write_all(b"x")?;
    end(pid)
}

/// Polls until no signal is pending: the handler has been entered, so the first call is over.
fn wait_until_handled(pid: i32) -> Result<(), Box<dyn std::error::Error>> {
    for _ in 0..6000 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let pending = |line: &str| line.starts_with("SigPnd:") || line.starts_with("ShdPnd:");
        if status
            .lines()
            .filter(|line| pending(line))
            .all(|line| line.ends_with("\t0000000000000000"))
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("a signal stayed pending".into())
}

fn end(pid: i32) -> Result<(), Box<dyn std::error::Error>> {
    match sys::wait(pid, 0)? {
        0 => Ok(()),
        status => Err(format!("a child ended with status {status:#x}").into()),
    }
}
