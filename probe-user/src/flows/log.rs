//! Writes the log: numbers the records and says what is missing between them.

mod losses;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Serialize;

use self::losses::Losses;
use super::{
    clock::WallClock,
    line::line,
    record::{
        AuditRecord, Balance, BalanceRecord, Envelope, FlowRecord, Gap, GapRecord, Loss,
        LossRecord, Observed, Origin,
    },
};
use crate::sinks::{self, Settings, Sink, Unwritten};

/// The stream that flow records belong to.
const STREAM: &str = "flow";

/// What the log has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowCounts {
    /// Records of any kind that were made: the next sequence number is one more.
    pub records: u64,
    /// Records that found no room in the queue.
    pub refused: u64,
    /// Records that could not be written as JSON.
    pub encode_errors: u64,
    /// Records that were left out on purpose; they have no number.
    pub filtered: u64,
    /// What became of the lines.
    pub sink: sinks::Counts,
}

/// The log of flows. Its methods may be called by several threads, and never wait for the disk, but for [`flush`](Self::flush).
///
/// All times are those of the kernel's monotonic clock.
#[derive(Debug)]
pub struct FlowLog {
    sink: Sink,
    origin: Origin,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    clock: WallClock,
    records: u64,
    refused: u64,
    encode_errors: u64,
    filtered: u64,
    losses: Losses,
}

impl FlowLog {
    /// Starts the sink. See [`Sink::start`] for the privileges that it keeps.
    ///
    /// # Errors
    ///
    /// The target cannot be opened or a thread not be started.
    pub fn start(settings: Settings, origin: Origin, clock: WallClock) -> io::Result<Self> {
        Ok(Self {
            sink: Sink::start(settings)?,
            origin,
            state: Mutex::new(State {
                clock,
                records: 0,
                refused: 0,
                encode_errors: 0,
                filtered: 0,
                losses: Losses::default(),
            }),
        })
    }

    /// Follows the time of day. To be called with both clocks before each collection.
    pub fn follow_clock(&self, monotonic: Duration, wall: SystemTime) {
        self.lock().clock.follow(monotonic, wall);
    }

    /// Writes a record of a flow that passed all filters. Returns whether there was room for it: what it told of is in the
    /// log, and not lost at stage `queue`.
    ///
    /// Losses of the interval are to be told first, so that the record can say that it is incomplete.
    pub fn flow(&self, observed: &Observed<'_>) -> bool {
        let mut state = self.lock();
        self.write_losses(&mut state, observed.at, false);
        let complete = if state.losses.touch(observed.since) {
            Some(false)
        } else {
            observed.complete
        };
        let lost_before = state.losses.take_before();
        let accepted = self.write(&mut state, observed.at, |envelope| {
            line(&FlowRecord::new(
                envelope,
                observed,
                complete,
                lost_before.clone(),
            ))
        });
        if !accepted {
            state.losses.put_back(lost_before);
        }
        accepted
    }

    /// Writes an audit event: the record of a flow, and what policies have to do with it. Returns whether there was room for it.
    pub fn audit(&self, observed: &Observed<'_>, policy: &impl Serialize) -> bool {
        let mut state = self.lock();
        self.write_losses(&mut state, observed.at, false);
        self.write(&mut state, observed.at, |envelope| {
            line(&AuditRecord::new(envelope, observed, policy))
        })
    }

    /// Counts a record that is not to be written.
    pub fn leave_out(&self) {
        self.lock().filtered += 1;
    }

    /// Tells of a loss. The record is written at once or, merged with others of its kind, within about a second.
    pub fn loss(&self, at: Duration, loss: &Loss) {
        let mut state = self.lock();
        state.losses.add(loss);
        self.write_losses(&mut state, at, false);
    }

    /// Tells of a time in which nobody watched. Returns whether there was room for it.
    pub fn gap(&self, at: Duration, gap: &Gap) -> bool {
        let mut state = self.lock();
        state.losses.incomplete_until(gap.to);
        self.write_losses(&mut state, at, false);
        self.write(&mut state, at, |envelope| {
            line(&GapRecord::new(envelope, gap))
        })
    }

    /// Writes both sides of the sum. Returns whether there was room for it.
    pub fn balance(&self, at: Duration, balance: &Balance) -> bool {
        let mut state = self.lock();
        self.write_losses(&mut state, at, true);
        self.write(&mut state, at, |envelope| {
            line(&BalanceRecord::new(envelope, balance))
        })
    }

    /// Waits until all is written and on the disk.
    ///
    /// # Errors
    ///
    /// Not within the time. What waits goes on waiting until the log is dropped.
    pub fn flush(&self, at: Duration, timeout: Duration) -> Result<(), Unwritten> {
        self.write_losses(&mut self.lock(), at, true);
        self.sink.flush(timeout)
    }

    /// Has the file opened again, for who has moved it away.
    pub fn reopen(&self) {
        self.sink.reopen();
    }

    /// What has been done.
    pub fn counts(&self) -> FlowCounts {
        let state = self.lock();
        FlowCounts {
            records: state.records,
            refused: state.refused,
            encode_errors: state.encode_errors,
            filtered: state.filtered,
            sink: self.sink.counts(),
        }
    }

    /// Writes the losses that are due, or all of them.
    fn write_losses(&self, state: &mut State, at: Duration, all: bool) {
        while let Some(loss) = state.losses.due(at, all) {
            // Its number is free again if there is no room: what it says is said later.
            if !self.push(state, at, |envelope| {
                line(&LossRecord::new(envelope, &loss))
            }) {
                return;
            }
            state.losses.written(&loss, at);
        }
    }

    /// Writes a record. One that is refused leaves a hole in the numbers.
    fn write(
        &self,
        state: &mut State,
        at: Duration,
        line: impl FnOnce(&Envelope<'_>) -> Option<Vec<u8>>,
    ) -> bool {
        let accepted = self.push(state, at, line);
        if !accepted {
            state.records += 1;
            state.refused += 1;
            state.losses.add(&Loss {
                stream: STREAM,
                stage: "queue",
                reason: "queue_full",
                unit: "records",
                count: 1,
                exact: true,
                first: at,
                last: at,
                cpu: None,
            });
        }
        accepted
    }

    fn push(
        &self,
        state: &mut State,
        at: Duration,
        line: impl FnOnce(&Envelope<'_>) -> Option<Vec<u8>>,
    ) -> bool {
        let envelope = Envelope {
            seq: state.records + 1,
            origin: &self.origin,
            clock: &state.clock,
            at,
        };
        let Some(line) = line(&envelope) else {
            state.encode_errors += 1;
            return false;
        };
        let accepted = self.sink.push(line).is_ok();
        state.records += u64::from(accepted);
        accepted
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
