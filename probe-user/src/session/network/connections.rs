//! Reads the table of connections and the ring of their ends, and tells what changed.

use std::{collections::HashSet, time::Duration};

use probe_common::tcp::{Connection, ConnectionEnd, ESTABLISHED, Question};

use super::{FlowEvent, FlowFollower, HOLD};
use crate::{
    flows::{Change, Event, convert},
    limits,
    maps::MapError,
    model::{EndReason, Flow},
    probes::TcpReader,
};

/// Readings in a row whose table lacks a connection after which it is over.
const GONE: u32 = 2;
/// State of a socket that has closed, include/net/tcp_states.h.
const TCP_CLOSE: u8 = 7;

/// A connection: the address of its socket, and when it began. The address alone is used again, often before the end of the
/// connection that had it is read.
pub(super) type Key = (u64, u64);

fn key_of(socket: u64, connection: &Connection) -> Key {
    (socket, connection.start_ns)
}

impl FlowFollower {
    /// Tells of connections that have ended.
    pub(super) fn read_ends(&mut self, now: Duration, events: &mut Vec<FlowEvent>) {
        let mut ends = Vec::new();
        if let Some(reader) = &mut self.tcp {
            ends.extend(std::iter::from_fn(|| reader.next_end()));
        }
        self.take_ends(ends, now, events);
    }

    fn take_ends(&mut self, ends: Vec<ConnectionEnd>, now: Duration, events: &mut Vec<FlowEvent>) {
        if !ends.is_empty() {
            self.read_drops(now);
        }
        // Both ends of a connection may be among them: all are entered before the first is told.
        let sampling = self.tcp.as_ref().map_or(1, TcpReader::sampling);
        let flow = |end: &ConnectionEnd| Flow {
            sampling,
            ..convert::ended(end, &self.listeners)
        };
        let flows: Vec<_> = ends
            .iter()
            .map(|end| (key_of(end.socket, &end.connection), flow(end)))
            .collect();
        for (_, flow) in &flows {
            self.ends.enter(flow);
        }
        for (key, mut flow) in flows {
            self.charge(&mut flow, now);
            self.ends.leave(&flow, now);
            let change = self.connections.ended(&key, flow);
            self.end(change, now, events);
        }
        // After the ends that they belong to.
        if let Some(reader) = &mut self.tcp {
            self.awaited.arrived(&reader.take_late_fins());
        }
    }

    /// Reads the table; tells of connections that go on, and gives up on those whose socket is gone without an end.
    pub(super) fn sweep_connections(
        &mut self,
        now: Duration,
        events: &mut Vec<FlowEvent>,
    ) -> Result<(), MapError> {
        let Some(reader) = &mut self.tcp else {
            return Ok(());
        };
        let known = reader.connections()?;
        self.listeners = reader.listeners()?.into_iter().map(|(_, l)| l).collect();
        // Read after the table: what has ended since is in both, and its end is taken last.
        let ended: Vec<_> = std::iter::from_fn(|| reader.next_end()).collect();
        let mut questions: Vec<Question> = known
            .iter()
            .map(|(socket, connection)| Question {
                socket: *socket,
                cookie: connection.cookie,
                ..Question::default()
            })
            .collect();
        reader.ask(&mut questions)?;
        let mut told = Vec::new();
        let mut gone = HashSet::new();
        for ((socket, connection), question) in known.iter().zip(&questions) {
            let key = key_of(*socket, connection);
            if question.answered == 0 {
                gone.insert(key);
            } else if reader.is_narrowed() && connection.flags & ESTABLISHED == 0 {
                // Whether it is followed is not decided yet.
            } else if question.stats.state != TCP_CLOSE {
                let mut flow =
                    convert::connection(*socket, connection, &question.stats, &self.listeners, now);
                flow.sampling = reader.sampling();
                if let Some((_, known)) = &mut self.drops {
                    known.charge(&mut flow, now);
                }
                self.ends.enter(&flow);
                told.extend(self.connections.seen(key, flow, now));
            }
        }
        // Those whose end was not seen, which nobody else removes. One that ended since the table was read is not in the next one.
        for key in gone.intersection(&self.gone) {
            self.counts.missed_ends += u64::from(reader.forget(key.0)?);
            told.extend(self.connections.give_up(key, EndReason::SocketClosed, now));
        }
        self.gone = gone;
        // Those whose end found no room in the ring.
        let present: HashSet<_> = known
            .iter()
            .map(|(socket, connection)| key_of(*socket, connection))
            .chain(ended.iter().map(|end| key_of(end.socket, &end.connection)))
            .collect();
        let absent: Vec<_> = self
            .connections
            .keys()
            .filter(|key| !present.contains(key))
            .copied()
            .collect();
        for key in absent {
            if self.connections.missed(&key) >= GONE {
                told.extend(self.connections.give_up(&key, EndReason::SocketClosed, now));
            }
        }
        for change in told {
            if change.event == Event::End {
                self.ends.leave(&change.flow, now);
            }
            self.tell(change, events);
        }
        self.take_ends(ended, now, events);
        Ok(())
    }

    /// Tells of an end, now if the other end is known and its FIN not awaited, else a little later.
    fn end(&mut self, change: Change, now: Duration, events: &mut Vec<FlowEvent>) {
        let full = self.held.len() >= limits::HELD_ENDS;
        let waits = self.tcp.as_ref().is_some_and(TcpReader::waits_for_fins);
        if !full && waits && self.awaited.begin(&change.flow) {
            self.held.push_back((now + HOLD, change));
        } else if full || self.ends.peer(&change.flow).is_some() {
            self.tell(change, events);
        } else {
            self.held.push_back((now + HOLD, change));
        }
    }
}
