//! The thread that writes.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    batch::Batch,
    medium::{Medium, Opened},
    queue::{Next, Queue},
};

/// How often the medium gets to do what time brings about.
const TICK: Duration = Duration::from_secs(1);
/// Wait after the first failure; it doubles with each further one.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Writes what waits in the queue, and goes on trying where that fails.
pub(super) struct Writer<M> {
    medium: M,
    queue: Arc<Queue>,
    batch: Batch,
    /// Wait after the next failure.
    pause: Duration,
    /// The medium is to be opened again before it is written.
    broken: bool,
}

impl<M: Medium> Writer<M> {
    pub(super) fn new(medium: M, queue: Arc<Queue>) -> Self {
        Self {
            medium,
            queue,
            batch: Batch::default(),
            pause: PAUSE,
            broken: false,
        }
    }

    /// Runs until the queue is closed.
    pub(super) fn run(mut self) {
        loop {
            match self.queue.next(TICK) {
                Next::Lines(lines) => {
                    self.batch.add(lines);
                    if !self.drain() {
                        self.queue.abandon();
                        return;
                    }
                    self.medium.tick(SystemTime::now());
                }
                // Nothing is in hand that would have to be begun again.
                Next::Reopen => {
                    if let Err(error) = self.medium.reopen(SystemTime::now()) {
                        self.queue.failed(&error);
                        self.broken = true;
                    }
                }
                Next::Flush(number) => {
                    self.medium.sync();
                    self.queue.flushed(number);
                }
                Next::Tick => self.medium.tick(SystemTime::now()),
                Next::End => {
                    self.medium.sync();
                    return;
                }
            }
        }
    }

    /// Writes all lines in hand, however long it takes. Returns whether it could before the end.
    fn drain(&mut self) -> bool {
        let mut last = false;
        while self.batch.len() > 0 {
            match self.attempt() {
                Ok(()) => self.pause = PAUSE,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.queue.failed(&error);
                    if last {
                        return false;
                    }
                    self.broken = true;
                    last = !self.queue.pause(self.pause);
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
            }
        }
        true
    }

    fn attempt(&mut self) -> io::Result<()> {
        let now = SystemTime::now();
        if self.broken {
            if self.medium.reopen(now)? == Opened::Anew {
                self.batch.rewind();
            }
            self.broken = false;
        }
        let room = match self.batch.next_line() {
            Some(line) => self.medium.prepare(line, now)?,
            // The rest of a line goes where its beginning is.
            None => 0,
        };
        let written = self.medium.write(&self.batch.head(room))?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        let (lines, bytes) = self.batch.advance(written);
        self.queue.written(lines, bytes);
        Ok(())
    }
}
