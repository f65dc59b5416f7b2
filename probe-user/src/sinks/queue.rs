//! The bounded queue in front of a writer, and what both sides tell one another.

use std::{
    collections::VecDeque,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{Counts, Unwritten};

/// Bytes that the writer takes at once.
const TAKEN: usize = 1 << 20;

/// There was no room for a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for a line")]
pub struct Refused;

/// What the writer is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Write these.
    Lines(Vec<Vec<u8>>),
    /// Open the medium again.
    Reopen,
    /// Everything before the flush of this number is written: bring it to the disk.
    Flush(u64),
    /// Nothing for a while.
    Tick,
    /// Nothing will come any more.
    End,
}

/// Lines that wait. A line counts until it is written, also while the writer has it in hand.
#[derive(Debug)]
pub(super) struct Queue {
    name: &'static str,
    max_lines: usize,
    max_bytes: usize,
    state: Mutex<State>,
    /// There is something to do for the writer.
    work: Condvar,
    /// The writer has done something.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    waiting: usize,
    waiting_bytes: usize,
    counts: Counts,
    /// Lines are refused since the queue was last half empty.
    refusing: bool,
    reopen: bool,
    closed: bool,
    /// Number of the last flush that was asked for, and of the last that is done.
    flush_wanted: u64,
    flush_done: u64,
    /// Number of the last flush for which a pause was cut short.
    flush_urged: u64,
}

impl Queue {
    pub(super) fn new(name: &'static str, max_lines: usize, max_bytes: usize) -> Self {
        Self {
            name,
            max_lines,
            max_bytes,
            state: Mutex::default(),
            work: Condvar::new(),
            done: Condvar::new(),
        }
    }

    pub(super) fn push(&self, line: Vec<u8>) -> Result<(), Refused> {
        let mut state = self.lock();
        let full = state.waiting >= self.max_lines
            || state.waiting_bytes.saturating_add(line.len()) > self.max_bytes;
        if full || state.closed {
            state.counts.refused += 1;
            let first = !std::mem::replace(&mut state.refusing, true);
            let waiting = state.waiting;
            drop(state);
            if first {
                tracing::warn!(sink = self.name, waiting, "queue full, records are lost");
            }
            return Err(Refused);
        }
        state.waiting += 1;
        state.waiting_bytes += line.len();
        state.counts.accepted += 1;
        state.lines.push_back(line);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    pub(super) fn reopen(&self) {
        self.lock().reopen = true;
        self.work.notify_one();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_one();
    }

    pub(super) fn flush(&self, timeout: Duration) -> Result<(), Unwritten> {
        let mut state = self.lock();
        state.flush_wanted += 1;
        let number = state.flush_wanted;
        self.work.notify_one();
        let pending = |state: &mut State| state.flush_done < number && state.counts.abandoned == 0;
        state = self
            .done
            .wait_timeout_while(state, timeout, pending)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if state.flush_done >= number {
            return Ok(());
        }
        Err(Unwritten {
            lines: state.waiting as u64 + state.counts.abandoned,
        })
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            waiting: state.waiting as u64,
            waiting_bytes: state.waiting_bytes as u64,
            ..state.counts.clone()
        }
    }

    /// Waits for something to do, at most for `tick`.
    pub(super) fn next(&self, tick: Duration) -> Next {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.reopen) {
                return Next::Reopen;
            }
            if !state.lines.is_empty() {
                return Next::Lines(state.take());
            }
            if state.flush_done < state.flush_wanted {
                return Next::Flush(state.flush_wanted);
            }
            if state.closed {
                return Next::End;
            }
            let (guard, timeout) = self
                .work
                .wait_timeout(state, tick)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            if timeout.timed_out() {
                return Next::Tick;
            }
        }
    }

    /// Waits after a failure. A flush and a wish to open again cut it short. Returns whether to go on.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let mut state = self.lock();
        let until = Instant::now() + duration;
        loop {
            if state.closed {
                return false;
            }
            let urged = state.flush_urged < state.flush_wanted;
            state.flush_urged = state.flush_wanted;
            let left = until.saturating_duration_since(Instant::now());
            if std::mem::take(&mut state.reopen) || urged || left.is_zero() {
                return true;
            }
            state = self
                .work
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The writer has written lines.
    pub(super) fn written(&self, lines: usize, bytes: usize) {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(lines);
        state.waiting_bytes = state.waiting_bytes.saturating_sub(bytes);
        state.counts.written += lines as u64;
        state.counts.written_bytes += bytes as u64;
        if state.waiting <= self.max_lines / 2 && state.waiting_bytes <= self.max_bytes / 2 {
            state.refusing = false;
        }
        // A part of a line is no sign of health: the last bytes of a disk take it.
        let fault = state.counts.fault.take_if(|_| lines > 0);
        let refused = state.counts.refused;
        drop(state);
        self.done.notify_all();
        if fault.is_some() {
            tracing::info!(sink = self.name, refused, "records are written again");
        }
    }

    /// The writer could not write.
    pub(super) fn failed(&self, error: &io::Error) {
        let mut state = self.lock();
        state.counts.failures += 1;
        let first = state.counts.fault.replace(error.to_string()).is_none();
        drop(state);
        if first {
            tracing::error!(sink = self.name, %error, "records cannot be written, and wait");
        }
    }

    /// The writer has brought to the disk what was handed over before that flush.
    pub(super) fn flushed(&self, number: u64) {
        self.lock().flush_done = number;
        self.done.notify_all();
    }

    /// The writer ends with lines in hand.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.counts.abandoned += state.waiting as u64;
        state.waiting = 0;
        state.waiting_bytes = 0;
        state.lines.clear();
        state.closed = true;
        let abandoned = state.counts.abandoned;
        drop(state);
        self.done.notify_all();
        tracing::error!(sink = self.name, abandoned, "records were given up");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first lines, up to some bytes.
    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = 0;
        let count = self
            .lines
            .iter()
            .take_while(|line| {
                let fits = bytes == 0 || bytes + line.len() <= TAKEN;
                bytes += line.len();
                fits
            })
            .count();
        self.lines.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    fn line(length: usize) -> Vec<u8> {
        vec![b'x'; length]
    }

    #[test]
    fn a_line_takes_up_room_until_it_is_written() {
        let queue = Queue::new("test", 2, 10);
        queue.push(line(4)).unwrap();
        queue.push(line(4)).unwrap();
        assert_eq!(queue.push(line(1)), Err(Refused));
        assert_eq!(queue.next(SHORT), Next::Lines(vec![line(4), line(4)]));
        assert_eq!(queue.push(line(1)), Err(Refused));
        queue.written(1, 4);
        assert_eq!(queue.push(line(7)), Err(Refused), "by bytes");
        queue.push(line(6)).unwrap();
        let counts = queue.counts();
        assert_eq!((counts.accepted, counts.refused), (3, 3));
        assert_eq!((counts.waiting, counts.waiting_bytes), (2, 10));
    }

    #[test]
    fn a_flush_comes_after_the_lines_and_opening_again_before_them() {
        let queue = Queue::new("test", 10, 100);
        queue.push(line(1)).unwrap();
        assert_eq!(queue.flush(SHORT), Err(Unwritten { lines: 1 }));
        queue.reopen();
        queue.close();
        assert_eq!(queue.next(SHORT), Next::Reopen);
        assert_eq!(queue.next(SHORT), Next::Lines(vec![line(1)]));
        assert_eq!(queue.next(SHORT), Next::Flush(1));
        queue.flushed(1);
        assert_eq!(queue.next(SHORT), Next::End);
    }

    #[test]
    fn a_flush_cuts_a_pause_short_once() {
        let queue = Queue::new("test", 10, 100);
        queue.flush(SHORT).unwrap_err();
        let start = Instant::now();
        assert!(queue.pause(Duration::from_secs(600)));
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(queue.pause(SHORT));
        queue.close();
        assert!(!queue.pause(Duration::from_secs(600)));
    }
}
