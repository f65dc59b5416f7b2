//! From what the kernel side keeps of a flow to the model.

mod flags;

use std::{
    hash::BuildHasher as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use probe_common::{
    drops::{FlowDropKey, FlowDropStats},
    flows::{FIRST_SENT, FlowKey, FlowStats},
    id::CgroupId,
    tcp::{
        CLIENT, COMM_LEN, Connection, ConnectionEnd, ESTABLISHED, LOCAL_CLOSED, Listener,
        REMOTE_CLOSED, RESET_RECEIVED, RESET_SENT, SERVER, SocketStats, TAKEN_OVER,
    },
};
use rustc_hash::FxBuildHasher;

use crate::model::{
    Counters, DroppedPackets, EndReason, Flow, FlowEnd, FlowProcess, Initiator, TcpFacts,
    Transport, Tuple,
};

/// A flow of datagrams as it is in the table, where one in `sampling` is counted.
pub fn datagrams(key: &FlowKey, stats: &FlowStats, sampling: u32) -> Flow {
    let tuple = Tuple {
        transport: Transport(key.protocol),
        local: address(&key.local, key.ip_version),
        local_port: key.local_port,
        remote: address(&key.remote, key.ip_version),
        remote_port: key.remote_port,
    };
    let start = Duration::from_nanos(stats.first_ns);
    Flow {
        id: datagrams_id(key, stats.first_ns),
        tuple,
        cgroup: cgroup(stats.cgroup),
        netns: None,
        initiator: if stats.flags & FIRST_SENT != 0 {
            Initiator::Local
        } else {
            Initiator::Remote
        },
        guessed: false,
        taken_over: false,
        start,
        // Its clock is up to one tick late.
        last: Duration::from_nanos(stats.last_ns).max(start),
        counters: stats.into(),
        drops: None,
        tcp: None,
        process: None,
        remote_name: None,
        sampling,
        end: None,
    }
}

/// Dropped packets as they are in the table, and the name of the reason.
pub fn dropped(key: &FlowDropKey, stats: &FlowDropStats, reason: Arc<str>) -> DroppedPackets {
    DroppedPackets {
        tuple: Tuple {
            transport: Transport(key.protocol),
            local: address(&key.source, key.ip_version),
            local_port: key.source_port,
            remote: address(&key.destination, key.ip_version),
            remote_port: key.destination_port,
        },
        reason,
        packets: stats.packets,
        is_attributed: key.has_cgroup == 1,
        last: Duration::from_nanos(stats.last_ns),
    }
}

/// A number of its own for each flow of a socket, which may have many, and have one again after a pause.
fn datagrams_id(key: &FlowKey, first_ns: u64) -> u64 {
    FxBuildHasher.hash_one((
        (key.cookie, key.local, key.remote),
        (key.local_port, key.remote_port, key.protocol),
        first_ns,
    ))
}

/// A connection that lasts, with what its socket counts.
pub fn connection(
    socket: u64,
    known: &Connection,
    stats: &SocketStats,
    listeners: &[Listener],
    now: Duration,
) -> Flow {
    let listener = listeners.iter().find(|listener| listener.accepts(known));
    let (initiator, guessed) = match known.flags & (CLIENT | SERVER) {
        CLIENT => (Initiator::Local, false),
        SERVER => (Initiator::Remote, false),
        // Not seen at its beginning: what a socket listens for came from outside.
        _ => match listener {
            Some(_) => (Initiator::Remote, true),
            None => (Initiator::Local, true),
        },
    };
    let process = match (known.tgid, listener) {
        (0, Some(listener)) if initiator == Initiator::Remote && listener.tgid != 0 => {
            Some(process(listener.tgid, &listener.comm, 0))
        }
        (0, _) => None,
        (tgid, _) => Some(process(tgid, &known.comm, known.handed_over)),
    };
    Flow {
        id: connection_id(socket, known),
        tuple: Tuple {
            transport: Transport::TCP,
            local: address(&known.local, known.ip_version),
            // A client has none yet when it begins.
            local_port: match known.local_port {
                0 => stats.local_port,
                port => port,
            },
            remote: address(&known.remote, known.ip_version),
            remote_port: known.remote_port,
        },
        cgroup: cgroup(known.cgroup),
        netns: Some(known.netns),
        initiator,
        guessed,
        taken_over: known.flags & TAKEN_OVER != 0,
        start: Duration::from_nanos(known.start_ns),
        last: now,
        counters: Counters {
            bytes_sent: bytes_sent(stats, initiator, guessed),
            bytes_received: stats.bytes_received,
            packets_sent: stats.segments_sent.into(),
            packets_received: stats.segments_received.into(),
        },
        drops: None,
        tcp: Some(facts(known, stats)),
        process,
        remote_name: None,
        sampling: 1,
        end: None,
    }
}

/// Payload that a socket has sent, each byte once; 0 where the reading shows no one moment.
///
/// A segment that this host itself drops on its way out counts among the bytes sent, and is sent once more without being a
/// retransmission. Sequence numbers do not count it twice.
fn bytes_sent(stats: &SocketStats, initiator: Initiator, guessed: bool) -> u64 {
    if stats.acked_meanwhile != 0 {
        return 0;
    }
    // Sequence numbers that are no payload. Where the SYN is only guessed, it may be a byte.
    let syn = initiator == Initiator::Local && !guessed;
    let others = u64::from(syn) + u64::from(flags::sent_fin(stats));
    let sequenced = stats.bytes_sequenced.saturating_sub(others);
    let sent = stats.bytes_sent.saturating_sub(stats.bytes_retransmitted);
    sent.min(sequenced)
}

/// The socket's cookie. Where the kernel gives none, a hash of the socket's address, which the next socket gets as well, and
/// of the time when the connection began.
fn connection_id(socket: u64, known: &Connection) -> u64 {
    match known.cookie {
        0 => FxBuildHasher.hash_one((socket, known.start_ns)),
        cookie => cookie,
    }
}

/// A connection that has ended.
pub fn ended(end: &ConnectionEnd, listeners: &[Listener]) -> Flow {
    let at = Duration::from_nanos(end.end_ns);
    let mut end = *end;
    if is_aborted(&end) {
        end.connection.flags |= RESET_SENT;
    }
    let mut flow = connection(end.socket, &end.connection, &end.stats, listeners, at);
    flow.end = Some(FlowEnd {
        reason: reason(&end),
        at,
        error: u16::try_from(end.error).ok().filter(|error| *error != 0),
    });
    flow
}

/// Whether the local side gave the connection up by a reset, which it sends after the end.
fn is_aborted(end: &ConnectionEnd) -> bool {
    /// States that a connection leaves for the end by a reset or an error only, include/net/tcp_states.h.
    const ESTABLISHED_STATE: u8 = 1;
    const CLOSE_WAIT_STATE: u8 = 8;
    end.error == 0
        && end.connection.flags & RESET_RECEIVED == 0
        && end.connection.flags & ESTABLISHED != 0
        && matches!(end.stats.state, ESTABLISHED_STATE | CLOSE_WAIT_STATE)
}

/// Error numbers of include/uapi/asm-generic/errno.h.
mod errno {
    pub(super) const EPERM: u32 = 1;
    pub(super) const EACCES: u32 = 13;
    pub(super) const ENONET: u32 = 64;
    pub(super) const ENOPROTOOPT: u32 = 92;
    pub(super) const EADDRNOTAVAIL: u32 = 99;
    pub(super) const ENETDOWN: u32 = 100;
    pub(super) const ENETUNREACH: u32 = 101;
    pub(super) const ETIMEDOUT: u32 = 110;
    pub(super) const ECONNREFUSED: u32 = 111;
    pub(super) const EHOSTDOWN: u32 = 112;
    pub(super) const EHOSTUNREACH: u32 = 113;
}

fn reason(end: &ConnectionEnd) -> EndReason {
    let flags = end.connection.flags;
    if flags & ESTABLISHED == 0 {
        return match end.error {
            errno::ECONNREFUSED => EndReason::Refused,
            errno::ETIMEDOUT => EndReason::ConnectTimeout,
            errno::ENONET
            | errno::ENOPROTOOPT
            | errno::ENETDOWN
            | errno::ENETUNREACH
            | errno::EHOSTDOWN
            | errno::EHOSTUNREACH => EndReason::Unreachable,
            errno::EPERM | errno::EACCES => EndReason::Prohibited,
            errno::EADDRNOTAVAIL => EndReason::NoLocalPort,
            _ if flags & RESET_RECEIVED != 0 => EndReason::ResetReceived,
            _ => EndReason::Aborted,
        };
    }
    if flags & RESET_RECEIVED != 0 {
        EndReason::ResetReceived
    } else if flags & RESET_SENT != 0 {
        EndReason::ResetSent
    } else if end.error == errno::ETIMEDOUT {
        EndReason::Timeout
    } else {
        EndReason::Fin
    }
}

fn facts(known: &Connection, stats: &SocketStats) -> TcpFacts {
    let micros =
        |value: u32| (value != 0 && value != u32::MAX).then(|| Duration::from_micros(value.into()));
    let has = |flag| known.flags & flag != 0;
    TcpFacts {
        state: stats.state,
        handshake: (known.handshake_ns != 0).then(|| Duration::from_nanos(known.handshake_ns)),
        srtt: micros(stats.srtt_us),
        min_rtt: micros(stats.min_rtt_us),
        retransmits: stats.retransmits.into(),
        bytes_retransmitted: stats.bytes_retransmitted,
        data_segments_sent: stats.data_segments_sent.into(),
        data_segments_received: stats.data_segments_received.into(),
        reset_sent: has(RESET_SENT),
        reset_received: has(RESET_RECEIVED),
        flags: flags::of(known, stats),
        closed_by: match (has(LOCAL_CLOSED), has(REMOTE_CLOSED)) {
            (true, _) => Some(Initiator::Local),
            (_, true) => Some(Initiator::Remote),
            _ => None,
        },
        fingerprint: (known.initiator_sequence != 0 || known.responder_sequence != 0)
            .then_some((known.initiator_sequence, known.responder_sequence)),
    }
}

fn address(bytes: &[u8; 16], ip_version: u8) -> IpAddr {
    if ip_version == 4 {
        let [a, b, c, d, ..] = *bytes;
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(*bytes).into()
    }
}

/// Sockets that no process made belong to the root of the hierarchy.
fn cgroup(id: u64) -> CgroupId {
    CgroupId(if id == 0 { 1 } else { id })
}

fn process(pid: u32, comm: &[u8; COMM_LEN], handed_over: u8) -> FlowProcess {
    let len = comm.iter().position(|byte| *byte == 0).unwrap_or(COMM_LEN);
    FlowProcess {
        pid,
        comm: String::from_utf8_lossy(&comm[..len]).into_owned(),
        is_elsewhere: handed_over != 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const NOTHING: Connection = Connection {
        cookie: 7,
        cgroup: 100,
        start_ns: 1_000_000_000,
        handshake_ns: 250_000,
        local: [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        remote: [10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        local_port: 40_000,
        remote_port: 5432,
        ip_version: 4,
        handed_over: 0,
        pad: [0; 2],
        flags: CLIENT | ESTABLISHED,
        netns: 5,
        initiator_sequence: 111,
        responder_sequence: 222,
        tgid: 77,
        error: 0,
        segments_sent: 0,
        segments_retransmitted: 0,
        comm: *b"psql\0\0\0\0\0\0\0\0\0\0\0\0",
    };

    const NOW: Duration = Duration::from_secs(2);

    pub(crate) fn client() -> Flow {
        connection(1, &NOTHING, &SocketStats::default(), &[], NOW)
    }

    pub(crate) fn server() -> Flow {
        let known = Connection {
            cookie: 8,
            cgroup: 200,
            local: NOTHING.remote,
            remote: NOTHING.local,
            local_port: NOTHING.remote_port,
            remote_port: NOTHING.local_port,
            flags: SERVER | ESTABLISHED,
            netns: 6,
            tgid: 0,
            ..NOTHING
        };
        connection(2, &known, &SocketStats::default(), &[listener()], NOW)
    }

    fn listener() -> Listener {
        Listener {
            cookie: 9,
            cgroup: 200,
            local: [0; 16],
            port: 5432,
            ip_version: 4,
            pad: 0,
            netns: 6,
            tgid: 88,
            drops: 0,
            comm: *b"postgres\0\0\0\0\0\0\0\0",
        }
    }

    fn end(flags: u32, error: u32) -> EndReason {
        let connection = Connection { flags, ..NOTHING };
        let end = ConnectionEnd {
            socket: 1,
            end_ns: 3_000_000_000,
            connection,
            stats: SocketStats::default(),
            error,
            pad: 0,
        };
        ended(&end, &[]).end.unwrap().reason
    }

    #[test]
    fn who_ends_an_established_connection_at_once_resets_it() {
        let by_state = |state| {
            let end = ConnectionEnd {
                socket: 1,
                end_ns: 3_000_000_000,
                connection: NOTHING,
                stats: SocketStats {
                    state,
                    ..SocketStats::default()
                },
                error: 0,
                pad: 0,
            };
            let flow = ended(&end, &[]);
            (flow.end.unwrap().reason, flow.tcp.unwrap().reset_sent)
        };
        // Established, and closed by the other side; after a FIN of both sides, and in the last state of who closed first.
        assert_eq!(by_state(1), (EndReason::ResetSent, true));
        assert_eq!(by_state(8), (EndReason::ResetSent, true));
        assert_eq!(by_state(9), (EndReason::Fin, false));
        assert_eq!(by_state(5), (EndReason::Fin, false));
    }

    #[test]
    fn a_servers_process_is_the_one_that_listens() {
        let flow = server();
        assert_eq!(flow.initiator, Initiator::Remote);
        assert_eq!(flow.process.unwrap().comm, "postgres");
        assert_eq!(client().process.unwrap().comm, "psql");
    }

    #[test]
    fn what_was_there_before_is_a_guess_by_who_listens() {
        let known = Connection {
            flags: TAKEN_OVER | ESTABLISHED,
            ..NOTHING
        };
        let flow = connection(1, &known, &SocketStats::default(), &[], NOW);
        assert!(flow.guessed && flow.taken_over);
        assert_eq!(flow.initiator, Initiator::Local);
        let own = Listener {
            port: NOTHING.local_port,
            netns: NOTHING.netns,
            ..listener()
        };
        let flow = connection(1, &known, &SocketStats::default(), &[own], NOW);
        assert_eq!(flow.initiator, Initiator::Remote);
    }

    #[test]
    fn reasons_follow_from_resets_errors_and_whether_it_was_established() {
        assert_eq!(end(CLIENT, 111), EndReason::Refused);
        assert_eq!(end(CLIENT, 110), EndReason::ConnectTimeout);
        assert_eq!(end(CLIENT, 113), EndReason::Unreachable);
        assert_eq!(end(CLIENT, 13), EndReason::Prohibited);
        assert_eq!(end(CLIENT, 99), EndReason::NoLocalPort);
        assert_eq!(end(CLIENT, 0), EndReason::Aborted);
        assert_eq!(end(CLIENT | ESTABLISHED, 0), EndReason::Fin);
        assert_eq!(end(CLIENT | ESTABLISHED, 110), EndReason::Timeout);
        assert_eq!(
            end(CLIENT | ESTABLISHED | RESET_RECEIVED, 104),
            EndReason::ResetReceived
        );
        assert_eq!(
            end(CLIENT | ESTABLISHED | RESET_SENT, 0),
            EndReason::ResetSent
        );
    }

    #[test]
    fn without_a_cookie_a_socket_that_is_used_again_is_another_flow() {
        let id = |cookie, start_ns| {
            let known = Connection {
                cookie,
                start_ns,
                ..NOTHING
            };
            connection(1, &known, &SocketStats::default(), &[], NOW).id
        };
        assert_ne!(id(0, 100), id(0, 200));
        assert_eq!(id(0, 100), id(0, 100));
        assert_eq!(id(7, 100), 7);
    }

    #[test]
    fn retransmissions_are_no_bytes_of_the_flow() {
        let stats = SocketStats {
            bytes_sent: 1500,
            bytes_retransmitted: 500,
            bytes_sequenced: 1001,
            ..SocketStats::default()
        };
        let flow = connection(1, &NOTHING, &stats, &[], NOW);
        assert_eq!(flow.counters.bytes_sent, 1000);
        assert_eq!(flow.tcp.unwrap().bytes_retransmitted, 500);
    }

    #[test]
    fn a_segment_that_this_host_dropped_and_sent_again_is_counted_once() {
        const FIN_WAIT2: u8 = 5;
        let sent = |flags, bytes_sequenced, state| {
            let known = Connection { flags, ..NOTHING };
            let stats = SocketStats {
                bytes_sent: 1300,
                bytes_sequenced,
                state,
                sequence_next: 7,
                sequence_end: 7,
                ..SocketStats::default()
            };
            connection(1, &known, &stats, &[], NOW).counters.bytes_sent
        };
        assert_eq!(sent(CLIENT | ESTABLISHED, 1001, 1), 1000, "a SYN");
        assert_eq!(
            sent(CLIENT | ESTABLISHED, 1002, FIN_WAIT2),
            1000,
            "a SYN and a FIN"
        );
        assert_eq!(sent(SERVER | ESTABLISHED, 1000, 1), 1000);
        // The counters of what was there before begin with the socket too.
        assert_eq!(sent(TAKEN_OVER | ESTABLISHED, 1300, 1), 1300);
    }

    #[test]
    fn a_reading_of_no_one_moment_says_nothing_of_the_bytes() {
        let stats = SocketStats {
            bytes_sent: 1500,
            bytes_sequenced: 1501,
            acked_meanwhile: 100,
            ..SocketStats::default()
        };
        let flow = connection(1, &NOTHING, &stats, &[], NOW);
        assert_eq!(flow.counters.bytes_sent, 0);
    }

    #[test]
    fn a_client_has_the_port_of_its_socket_before_it_is_established() {
        let known = Connection {
            flags: CLIENT,
            local_port: 0,
            ..NOTHING
        };
        let stats = SocketStats {
            local_port: 40_001,
            ..SocketStats::default()
        };
        let flow = connection(1, &known, &stats, &[], NOW);
        assert_eq!(flow.tuple.local_port, 40_001);
    }

    #[test]
    fn the_last_packet_is_never_before_the_first() {
        let key = FlowKey {
            cookie: 1,
            local: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            remote: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            local_port: 1,
            remote_port: 53,
            protocol: 17,
            ip_version: 4,
            pad: 0,
        };
        let stats = FlowStats {
            bytes_sent: 10,
            bytes_received: 0,
            packets_sent: 1,
            packets_received: 0,
            first_ns: 5000,
            last_ns: 4000,
            cgroup: 0,
            flags: FIRST_SENT,
            pad: 0,
        };
        let flow = datagrams(&key, &stats, 1);
        assert_eq!(flow.last, flow.start);
        assert_eq!(flow.cgroup, CgroupId(1));
        assert_eq!(flow.initiator, Initiator::Local);
    }
}
