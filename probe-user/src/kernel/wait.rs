//! Waiting for a file descriptor to be woken, with a limit.

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
    thread,
    time::Duration,
};

use rustix::event::epoll;

/// Waits for wake-ups of a file descriptor, or of none.
#[derive(Debug, Default)]
pub struct Waiter(Option<OwnedFd>);

impl Waiter {
    /// Waits for those of `fd`.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn new(fd: Option<BorrowedFd<'_>>) -> io::Result<Self> {
        let Some(fd) = fd else {
            return Ok(Self(None));
        };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // That it is readable is not enough: somebody must have been woken.
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, fd, epoll::EventData::new_u64(0), flags)?;
        Ok(Self(Some(epoll)))
    }

    /// Returns when the file descriptor was woken since the last call, a signal came, or `limit` is over.
    pub fn wait(&self, limit: Duration) {
        let Some(epoll) = &self.0 else {
            thread::sleep(limit);
            return;
        };
        let timeout = limit.try_into().ok();
        let mut events = [MaybeUninit::uninit(); 1];
        match epoll::wait(epoll, &mut events, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Not to be woken is no reason to go round without rest.
            Err(_) => thread::sleep(limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, os::fd::AsFd as _, time::Instant};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn a_wake_up_ends_the_wait_and_what_is_there_already_does_not() {
        let (read, mut write) = io::pipe().unwrap();
        let waiter = Waiter::new(Some(read.as_fd())).unwrap();
        let begin = Instant::now();
        write.write_all(b"1").unwrap();
        waiter.wait(LONG);
        assert!(begin.elapsed() < LONG);
        // It is still readable.
        let begin = Instant::now();
        waiter.wait(SHORT);
        assert!(begin.elapsed() >= SHORT);
    }

    #[test]
    fn without_anything_to_wait_for_the_limit_ends_it() {
        let waiter = Waiter::new(None).unwrap();
        let begin = Instant::now();
        waiter.wait(SHORT);
        assert!(begin.elapsed() >= SHORT);
    }
}
