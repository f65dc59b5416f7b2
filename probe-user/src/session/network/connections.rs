//! Reads the table of connections and the ring of their ends, and tells what changed.

use std::{collections::HashSet, time::Duration};

use probe_common::tcp::{Connection, ConnectionEnd, ESTABLISHED, Question, SERVER, SocketStats};

use super::{FlowEvent, FlowFollower, HOLD};
use crate::{
    flows::{Change, Event, convert},
    limits,
    logs::chain,
    maps::MapError,
    model::{EndReason, Flow},
    probes::TcpReader,
};

/// State of a socket that has closed, include/net/tcp_states.h.
const TCP_CLOSE: u8 = 7;

/// A connection: the address of its socket, and when it began. The address alone is used again, often before the end of the
/// connection that had it is read.
pub(super) type Key = (u64, u64);

fn key_of(socket: u64, connection: &Connection) -> Key {
    (socket, connection.start_ns)
}

/// The table, the sockets of its connections, and the ends that came meanwhile.
struct Reading {
    /// Connections by the addresses of their sockets.
    known: Vec<(u64, Connection)>,
    /// What each of those sockets answered.
    answers: Vec<Question>,
    /// Read last: what has ended since the table was read is in both, and nothing that can fail comes after what is read once.
    ended: Vec<ConnectionEnd>,
}

impl Reading {
    fn take(reader: &mut TcpReader) -> Result<Self, MapError> {
        let known = reader.connections()?;
        let mut answers: Vec<Question> = known
            .iter()
            .map(|(socket, connection)| Question {
                socket: *socket,
                cookie: connection.cookie,
                ..Question::default()
            })
            .collect();
        reader.ask(&mut answers)?;
        reader.read_late_fins();
        Ok(Self {
            known,
            answers,
            ended: std::iter::from_fn(|| reader.next_end()).collect(),
        })
    }

    /// Connections whose sockets are there, and what those count.
    fn answered(&self) -> impl Iterator<Item = (u64, &Connection, &SocketStats)> {
        let all = self.known.iter().zip(&self.answers);
        all.filter(|(_, answer)| answer.answered != 0)
            .map(|((socket, connection), answer)| (*socket, connection, &answer.stats))
    }

    /// Connections in the table whose socket is gone, and those of `before` that are not in it, unless their end has come.
    fn missing<'a>(&self, before: impl Iterator<Item = &'a Key>) -> HashSet<Key> {
        let here = self.answered().map(|(socket, it, _)| key_of(socket, it));
        let ended = self
            .ended
            .iter()
            .map(|it| key_of(it.socket, &it.connection));
        let accounted: HashSet<Key> = here.chain(ended).collect();
        let known = self.known.iter().map(|(socket, it)| key_of(*socket, it));
        known
            .chain(before.copied())
            .filter(|key| !accounted.contains(key))
            .collect()
    }
}

impl FlowFollower {
    /// Tells of connections that have ended.
    pub(super) fn read_ends(&mut self, now: Duration, events: &mut Vec<FlowEvent>) {
        let mut ends = Vec::new();
        if let Some(reader) = &mut self.tcp {
            reader.read_late_fins();
            ends.extend(std::iter::from_fn(|| reader.next_end()));
        }
        self.know_listeners(&ends);
        self.take_ends(&ends, now, events);
    }

    /// Reads the listening sockets again if one is not known whose connections these were: it tells their process.
    fn know_listeners(&mut self, ends: &[ConnectionEnd]) {
        let is_strange = |end: &ConnectionEnd| {
            let it = &end.connection;
            it.flags & SERVER != 0
                && it.tgid == 0
                && !self.listeners.iter().any(|listener| listener.accepts(it))
        };
        if !ends.iter().any(is_strange) {
            return;
        }
        match self.tcp.as_ref().map(TcpReader::listeners) {
            Some(Ok(listeners)) => {
                self.listeners = listeners.into_iter().map(|(_, it)| it).collect();
            }
            Some(Err(error)) => {
                tracing::error!(error = %chain(&error), "listening sockets cannot be read");
            }
            None => {}
        }
    }

    fn take_ends(&mut self, ends: &[ConnectionEnd], now: Duration, events: &mut Vec<FlowEvent>) {
        if !ends.is_empty() {
            self.read_drops(now);
        }
        let flows = self.enter_ends(ends);
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

    /// Has flows that ended found as the other end of what is told next: both ends may be among them, or one lasts a moment longer.
    fn enter_ends(&mut self, ends: &[ConnectionEnd]) -> Vec<(Key, Flow)> {
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
        flows
    }

    /// Reads the table; tells of connections that go on, and gives up on those that two readings in a row lack.
    pub(super) fn sweep_connections(
        &mut self,
        now: Duration,
        events: &mut Vec<FlowEvent>,
    ) -> Result<(), MapError> {
        let Some(reader) = &mut self.tcp else {
            return Ok(());
        };
        self.listeners = reader.listeners()?.into_iter().map(|(_, l)| l).collect();
        let reading = Reading::take(reader)?;
        self.enter_ends(&reading.ended);
        let mut told = self.go_on(&reading, now);
        let missing = reading.missing(self.connections.keys());
        let given_up: Vec<_> = missing.intersection(&self.missing).copied().collect();
        for key in given_up {
            told.extend(self.give_up(key, now));
        }
        self.missing = missing;
        for change in told {
            if change.event == Event::End {
                self.ends.leave(&change.flow, now);
            }
            self.tell(change, events);
        }
        self.take_ends(&reading.ended, now, events);
        Ok(())
    }

    /// What is to be said of connections whose sockets are there.
    fn go_on(&mut self, reading: &Reading, now: Duration) -> Vec<Change> {
        let (sampling, is_narrowed) = self.tcp.as_ref().map_or((1, false), |reader| {
            (reader.sampling(), reader.is_narrowed())
        });
        let mut told = Vec::new();
        for (socket, connection, stats) in reading.answered() {
            // Whether it is followed is not decided before it is established; and its end tells what one that closes came to.
            let is_undecided = is_narrowed && connection.flags & ESTABLISHED == 0;
            if is_undecided || stats.state == TCP_CLOSE {
                continue;
            }
            let mut flow = convert::connection(socket, connection, stats, &self.listeners, now);
            // The socket has not chosen its port yet: the next reading has it.
            if flow.tuple.local_port == 0 {
                continue;
            }
            flow.sampling = sampling;
            let is_peer_here = self.ends.peer(&flow).is_some();
            if let Some((_, known)) = &mut self.drops {
                known.charge(&mut flow, is_peer_here, now);
            }
            self.ends.enter(&flow);
            told.extend(self.connections.seen(key_of(socket, connection), flow, now));
        }
        told
    }

    /// Gives up on a connection whose socket is gone, or whose end found no room in the ring. Nobody else removes what the first
    /// leaves in the table.
    fn give_up(&mut self, key: Key, now: Duration) -> Option<Change> {
        match self.tcp.as_ref().map(|tcp| tcp.forget(key.0, key.1)) {
            Some(Ok(was_there)) => self.counts.missed_ends += u64::from(was_there),
            Some(Err(error)) => {
                tracing::error!(error = %chain(&error), "what a connection left behind stays in the table");
            }
            None => {}
        }
        self.connections.give_up(&key, EndReason::SocketClosed, now)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::NOTHING;

    fn of(start_ns: u64) -> Connection {
        Connection {
            start_ns,
            ..NOTHING
        }
    }

    #[test]
    fn what_neither_a_socket_nor_an_end_accounts_for_is_missing() {
        let answer = |answered| Question {
            answered,
            ..Question::default()
        };
        let reading = Reading {
            known: vec![(1, of(10)), (2, of(20)), (3, of(30))],
            answers: vec![answer(1), answer(0), answer(0)],
            ended: vec![ConnectionEnd {
                socket: 3,
                end_ns: 40,
                connection: of(30),
                stats: SocketStats::default(),
                error: 0,
                pad: 0,
            }],
        };
        // One has the socket's memory again, and one is in neither.
        let before = [(1, 10), (1, 5), (4, 40)];
        assert_eq!(
            reading.missing(before.iter()),
            HashSet::from([(2, 20), (1, 5), (4, 40)])
        );
    }
}
