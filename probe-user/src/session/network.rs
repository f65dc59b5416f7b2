//! Follows flows and name look-ups: reads the rings and tables of the network's probes, and tells what happened.
//!
//! Owns the readers and the tables of flows. Who asks it decides what becomes of the events.

mod connections;
mod counts;
mod datagrams;
mod drops;
mod fins;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    os::fd::BorrowedFd,
    time::Duration,
};

use probe_common::{id::CgroupId, tcp::Listener};

use super::{Translator, translation::Translations};
use crate::{
    flows::{
        Change, Datagrams, Ends, Event, FlowTable, Lookups, NAMES, Names, Peer, QUESTIONS, convert,
    },
    limits,
    logs::chain,
    maps::MapError,
    model::{Counters, Drops, Flow, IdleCapacity as _, Initiator, LookupEvent, Tuple},
    probes::{DropsReader, FlowsReader, TcpReader},
};

pub use self::counts::{FollowerCounts, Units};
use self::{connections::Key, drops::Dropped, fins::Awaited};

/// When flows are looked at and reported.
#[derive(Clone, Copy, Debug)]
pub struct FlowSettings {
    /// How often the tables are read.
    pub sweep: Duration,
    /// How often a flow that goes on is reported.
    pub period: Duration,
    /// After how long without a packet a flow of datagrams ends.
    pub idle: Duration,
    /// After how long without an answer a name look-up was not answered.
    pub lookup_timeout: Duration,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum FlowEvent {
    /// A flow began, goes on or ended.
    Flow(Box<FlowReport>),
    /// A name is looked up.
    Lookup(LookupEvent),
}

/// What is to be said of a flow.
#[derive(Clone, Debug)]
pub struct FlowReport {
    /// Began, goes on or ended.
    pub event: Event,
    /// All that is known, counted since its start.
    pub flow: Flow,
    /// What was exchanged since the last report, or the start.
    pub interval: Counters,
    /// What of it was dropped, where the kernel is asked.
    pub dropped: Option<Drops>,
    /// When that interval began, as monotonic time.
    pub since: Duration,
    /// The other end, where it is a socket of this host.
    pub peer: Option<Peer>,
    /// Both ends as they are on the other side of a translation, still as the local socket would see them.
    pub nat: Option<Tuple>,
}

impl FlowReport {
    /// What it has of what the kernel side counts.
    pub fn units(&self) -> Units {
        Units::of(&self.flow, self.event, self.interval)
    }
}

/// How long the end of a flow waits for the other end to become known.
const HOLD: Duration = Duration::from_secs(1);
/// Messages read at once; the rest waits for the next time.
const MESSAGES: usize = 10_000;
/// What began this soon after the probe may have begun before.
const UNSURE: Duration = Duration::from_secs(5);

/// Follows the flows of a session.
pub struct FlowFollower {
    flows: Option<FlowsReader>,
    tcp: Option<TcpReader>,
    drops: Option<(DropsReader, Dropped)>,
    settings: FlowSettings,
    datagrams: Datagrams,
    connections: FlowTable<Key>,
    /// Connections that the last reading lacked, or whose sockets were gone.
    missing: HashSet<Key>,
    listeners: Vec<Listener>,
    ends: Ends,
    lookups: Lookups,
    names: Names,
    held: VecDeque<(Duration, Change)>,
    awaited: Awaited,
    translations: Option<Translations>,
    began: Duration,
    next_sweep: Duration,
    counts: FollowerCounts,
}

impl FlowFollower {
    /// Follows what these readers show, from the monotonic time `now` on.
    pub fn new(
        readers: (Option<FlowsReader>, Option<TcpReader>),
        settings: FlowSettings,
        now: Duration,
    ) -> Self {
        let (flows, tcp) = readers;
        Self {
            flows,
            tcp,
            drops: None,
            settings,
            datagrams: Datagrams::new(settings.period),
            connections: FlowTable::new(settings.period),
            missing: HashSet::new(),
            listeners: Vec::new(),
            ends: Ends::new(limits::FLOW_ENDS),
            lookups: Lookups::new(QUESTIONS, settings.lookup_timeout),
            names: Names::new(NAMES),
            held: VecDeque::new(),
            awaited: Awaited::default(),
            translations: None,
            began: now,
            next_sweep: now,
            counts: FollowerCounts::default(),
        }
    }

    /// Has connection tracking asked for what is behind the addresses of flows whose other end is not known.
    #[must_use]
    pub fn with_translator(mut self, translator: Option<Translator>) -> Self {
        self.translations = translator.map(Translations::new);
        self
    }

    /// Has flows told what the kernel dropped of them.
    #[must_use]
    pub fn with_drops(mut self, reader: Option<DropsReader>) -> Self {
        self.drops = reader.and_then(|mut reader| match reader.begin() {
            Ok(()) => Some((reader, Dropped::new(limits::DROPPED))),
            Err(error) => {
                tracing::error!(error = %chain(&error), "dropped packets cannot be told by flow");
                None
            }
        });
        self
    }

    /// What happened since the last call. Call it about ten times a second, and when its [`ring`](Self::ring) asks for it; it reads the
    /// tables when that is due.
    pub fn poll(&mut self, now: Duration) -> Vec<FlowEvent> {
        let mut events = Vec::new();
        self.read_messages(now, &mut events);
        // What the last sweep found is told first.
        if now >= self.next_sweep && !self.datagrams.has_due() {
            self.next_sweep = now + self.settings.sweep;
            self.sweep(now, &mut events);
        } else {
            self.read_ends(now, &mut events);
        }
        self.tell_datagrams(now, false, &mut events);
        self.ends.expire(now);
        self.release(now, &mut events);
        if let Some(translations) = &mut self.translations {
            translations.release(&self.ends, &mut events);
        }
        events
    }

    /// A ring that is readable, for whoever waits for that, when it must not wait for the next [`poll`](Self::poll) much longer.
    pub fn ring(&self) -> Option<BorrowedFd<'_>> {
        self.tcp.as_ref().map(TcpReader::ring)
    }

    /// As [`poll`](Self::poll), and reads the tables whether that is due or not.
    pub fn poll_all(&mut self, now: Duration) -> Vec<FlowEvent> {
        let mut events = Vec::new();
        self.tell_datagrams(now, true, &mut events);
        self.next_sweep = now;
        events.extend(self.poll(now));
        events
    }

    /// Reads everything once more and reports all flows that go on as ended by the end of the probe.
    pub fn finish(&mut self, now: Duration) -> Vec<FlowEvent> {
        let mut events = Vec::new();
        self.read_messages(now, &mut events);
        self.tell_datagrams(now, true, &mut events);
        self.sweep(now, &mut events);
        for change in self.connections.shut_down(now) {
            self.tell(change, &mut events);
        }
        self.tell_datagrams(now, true, &mut events);
        if let Err(error) = self.end_datagrams() {
            tracing::error!(error = %chain(&error), "flows cannot be read");
        }
        self.tell_datagrams(now, true, &mut events);
        self.release(Duration::MAX, &mut events);
        if let Some(translations) = &mut self.translations {
            translations.finish(&self.ends, &mut events);
        }
        events
    }

    /// Its own counts.
    pub fn counts(&self) -> FollowerCounts {
        let open = self.datagrams.unreported();
        let undecoded_ends = self.tcp.as_ref().map_or(0, TcpReader::undecoded);
        // What waits to be passed on is not yet reported.
        let waiting = self
            .translations
            .as_ref()
            .map_or(Units::default(), Translations::units);
        FollowerCounts {
            open: self.datagrams.len() + self.connections.len(),
            open_packets: open.packets_sent + open.packets_received + waiting.packets,
            reported_packets: self.counts.reported_packets - waiting.packets,
            reported_ends: self.counts.reported_ends - waiting.ends,
            translations: self.translations.as_ref().map(Translations::counts),
            undecoded: self.flows.as_ref().map_or(0, FlowsReader::undecoded) + undecoded_ends,
            undecoded_ends,
            held_ends: self.held.len() as u64 + waiting.ends,
            forgotten_ends: self.ends.refused(),
            forgotten_drops: self.drops.as_ref().map_or(0, |(_, known)| known.refused()),
            attributed_drops: self
                .drops
                .as_ref()
                .map_or_else(HashMap::new, |(_, known)| known.attributed().clone()),
            lookups: self.lookups.counts(),
            over_tcp: self.lookups.over_tcp().clone(),
            names: self.names.counts(),
            ..self.counts.clone()
        }
    }

    fn read_messages(&mut self, now: Duration, events: &mut Vec<FlowEvent>) {
        let mut found = Vec::new();
        if let Some(reader) = &mut self.flows {
            let lookups = &mut self.lookups;
            for _ in 0..MESSAGES {
                if !reader
                    .next_message(|header, bytes| lookups.on_message(header, bytes, &mut found))
                {
                    break;
                }
            }
        }
        for cgroup in self.lookups.expire(now, &mut found) {
            self.counts.count_timeout(cgroup);
        }
        self.tell_lookups(found, events);
    }

    fn tell_lookups(&mut self, found: Vec<LookupEvent>, events: &mut Vec<FlowEvent>) {
        for event in found {
            if let LookupEvent::Ended(lookup) = &event {
                self.names.insert(lookup);
            }
            events.push(FlowEvent::Lookup(event));
        }
    }

    /// Takes what was dropped since the last time.
    fn read_drops(&mut self, now: Duration) {
        let Some((reader, known)) = &mut self.drops else {
            return;
        };
        match reader.take() {
            Ok(dropped) => {
                for (key, stats, reason) in dropped {
                    known.add(convert::dropped(&key, &stats, reason), now);
                }
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "dropped packets cannot be read");
            }
        }
    }

    /// Gives a flow what was dropped of it.
    fn charge(&mut self, flow: &mut Flow, now: Duration) {
        let is_peer_here = self.ends.peer(flow).is_some();
        if let Some((_, known)) = &mut self.drops {
            known.charge(flow, is_peer_here, now);
            if flow.end.is_some() {
                known.release(flow);
            }
        }
    }

    fn sweep(&mut self, now: Duration, events: &mut Vec<FlowEvent>) {
        self.read_drops(now);
        if let Some((_, known)) = &mut self.drops {
            known.expire(now);
        }
        if let Err(error) = self.sweep_connections(now, events) {
            tracing::error!(error = %chain(&error), "connections cannot be read");
        }
        if let Err(error) = self.sweep_datagrams(now) {
            tracing::error!(error = %chain(&error), "flows cannot be read");
        }
        if let Err(error) = self.sweep_questions(now, events) {
            tracing::error!(error = %chain(&error), "unanswered look-ups cannot be read");
        }
    }

    /// Gives up on questions that have waited too long.
    fn sweep_questions(
        &mut self,
        now: Duration,
        events: &mut Vec<FlowEvent>,
    ) -> Result<(), MapError> {
        let Some(reader) = &self.flows else {
            return Ok(());
        };
        let mut waiting = reader.pending()?;
        waiting.retain(|(_, pending)| {
            let waited = now.saturating_sub(Duration::from_nanos(pending.asked_ns));
            waited >= self.settings.lookup_timeout
        });
        let given_up = reader.give_up(waiting)?;
        for (_, pending) in &given_up {
            self.counts.count_timeout(CgroupId(pending.cgroup));
        }
        let mut found = Vec::new();
        self.lookups.on_given_up(&given_up, now, &mut found);
        self.tell_lookups(found, events);
        Ok(())
    }

    fn release(&mut self, now: Duration, events: &mut Vec<FlowEvent>) {
        while self.held.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, mut change)) = self.held.pop_front() {
                self.awaited.end(&mut change.flow);
                self.tell(change, events);
            }
        }
        self.held.give_back();
    }

    fn tell(&mut self, change: Change, events: &mut Vec<FlowEvent>) {
        let Change {
            event,
            mut flow,
            interval,
            dropped,
            since,
        } = change;
        if flow.initiator == Initiator::Local {
            flow.remote_name = self
                .names
                .name(flow.cgroup, flow.tuple.remote, flow.start)
                .map(|(name, _)| name.to_owned());
        }
        let peer = self.ends.peer(&flow);
        let report = Box::new(FlowReport {
            event,
            flow,
            interval,
            dropped,
            since,
            nat: peer.and_then(|peer| peer.nat),
            peer,
        });
        let units = report.units();
        self.counts.reported_packets += units.packets;
        self.counts.reported_ends += units.ends;
        match &mut self.translations {
            Some(translations) => translations.push(report),
            None => events.push(FlowEvent::Flow(report)),
        }
    }
}
