//! Flows: what a local socket exchanged with one other address.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr, time::Duration};

use probe_common::id::CgroupId;

use super::{Drops, TcpFlags};

/// A transport protocol by its internet protocol number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transport(pub u8);

impl Transport {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// SCTP.
    pub const SCTP: Self = Self(132);

    /// Lower-case name, where it has one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "icmp",
            2 => "igmp",
            6 => "tcp",
            17 => "udp",
            33 => "dccp",
            47 => "gre",
            50 => "esp",
            58 => "icmpv6",
            89 => "ospf",
            132 => "sctp",
            136 => "udplite",
            _ => return None,
        })
    }

    /// Whether `local_port` and `remote_port` of a flow are ports.
    pub fn has_ports(self) -> bool {
        matches!(self.0, 6 | 17 | 33 | 132 | 136)
    }

    /// Whether it is one of both ICMPs, whose flows have an identifier and a type in place of ports.
    pub fn is_icmp(self) -> bool {
        self == Self::ICMP || self == Self::ICMPV6
    }
}

impl FromStr for Transport {
    type Err = String;

    /// A name or a number.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = |transport: &Self| transport.name() == Some(text);
        let number = text.parse().ok().map(Self);
        number
            .or_else(|| (0..=u8::MAX).map(Self).find(named))
            .ok_or_else(|| {
                format!("`{text}` is no transport such as tcp, udp, icmp, icmpv6, sctp, or protocol number")
            })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&self.0.to_string()),
        }
    }
}

/// Both ends as the local socket sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Protocol.
    pub transport: Transport,
    /// The socket's address.
    pub local: IpAddr,
    /// The socket's port; for ICMP the identifier, for what has neither 0.
    pub local_port: u16,
    /// The other side's address.
    pub remote: IpAddr,
    /// The other side's port; for ICMP the type of the request times 256, and the code.
    pub remote_port: u16,
}

impl Tuple {
    /// As the other end sees it, where nothing translates addresses in between.
    #[must_use]
    pub fn turned(self) -> Self {
        let (local_port, remote_port) = if self.transport.is_icmp() {
            // No ports: identifier and type are the same at both ends.
            (self.local_port, self.remote_port)
        } else {
            (self.remote_port, self.local_port)
        };
        Self {
            transport: self.transport,
            local: self.remote,
            local_port,
            remote: self.local,
            remote_port,
        }
    }
}

/// Who began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initiator {
    /// The local socket.
    Local,
    /// The other side.
    Remote,
}

impl Initiator {
    /// As the other end sees it.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Local => Self::Remote,
            Self::Remote => Self::Local,
        }
    }
}

/// What was exchanged: payload of the transport in bytes, packets of the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Payload bytes sent by the local socket; for TCP without retransmissions.
    pub bytes_sent: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
    /// Packets sent; for TCP segments on the wire.
    pub packets_sent: u64,
    /// Packets received.
    pub packets_received: u64,
}

impl Counters {
    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            bytes_sent: self.bytes_sent.saturating_sub(earlier.bytes_sent),
            bytes_received: self.bytes_received.saturating_sub(earlier.bytes_received),
            packets_sent: self.packets_sent.saturating_sub(earlier.packets_sent),
            packets_received: self
                .packets_received
                .saturating_sub(earlier.packets_received),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            bytes_sent: self.bytes_sent.max(other.bytes_sent),
            bytes_received: self.bytes_received.max(other.bytes_received),
            packets_sent: self.packets_sent.max(other.packets_sent),
            packets_received: self.packets_received.max(other.packets_received),
        }
    }

    /// Adds what another counter has.
    pub fn add(&mut self, other: Self) {
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.packets_sent += other.packets_sent;
        self.packets_received += other.packets_received;
    }

    /// Whether nothing was exchanged.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// What only TCP has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFacts {
    /// State of the socket as the kernel numbers them; at the end the one before.
    pub state: u8,
    /// How long the handshake took.
    pub handshake: Option<Duration>,
    /// Smoothed round-trip time.
    pub srtt: Option<Duration>,
    /// Smallest round-trip time of the last minutes.
    pub min_rtt: Option<Duration>,
    /// Segments retransmitted by the local socket.
    pub retransmits: u64,
    /// Payload bytes of these.
    pub bytes_retransmitted: u64,
    /// Segments with data sent.
    pub data_segments_sent: u64,
    /// Segments with data received.
    pub data_segments_received: u64,
    /// The local side sent a reset.
    pub reset_sent: bool,
    /// The other side sent a reset.
    pub reset_received: bool,
    /// Flags of the segments of both sides, where known.
    pub flags: Option<TcpFlags>,
    /// Who closed first, where it was closed.
    pub closed_by: Option<Initiator>,
    /// Sequence numbers of the first data of initiator and responder: the same at both ends of a connection, whatever
    /// translates its addresses.
    pub fingerprint: Option<(u32, u32)>,
}

impl TcpFacts {
    /// Name of the state, as in the kernel's `include/net/tcp_states.h`, in lower case.
    pub fn state_name(&self) -> Cow<'static, str> {
        const NAMES: [&str; 12] = [
            "established",
            "syn_sent",
            "syn_recv",
            "fin_wait1",
            "fin_wait2",
            "time_wait",
            "close",
            "close_wait",
            "last_ack",
            "listen",
            "closing",
            "new_syn_recv",
        ];
        let name = usize::from(self.state)
            .checked_sub(1)
            .and_then(|at| NAMES.get(at));
        name.map_or_else(
            || self.state.to_string().into(),
            |name| Cow::Borrowed(*name),
        )
    }
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Both sides closed.
    Fin,
    /// The local side sent a reset.
    ResetSent,
    /// The other side sent a reset.
    ResetReceived,
    /// The other side refused the connection.
    Refused,
    /// Nobody answered the attempt in time.
    ConnectTimeout,
    /// The network said that it cannot get there.
    Unreachable,
    /// The network said that it may not go there.
    Prohibited,
    /// The local address had no free port.
    NoLocalPort,
    /// The attempt ended before an answer.
    Aborted,
    /// An established connection timed out.
    Timeout,
    /// Nothing was exchanged for the idle timeout.
    Idle,
    /// It was put out of a full table.
    Evicted,
    /// The socket is gone and its end was not seen.
    SocketClosed,
    /// The probe ends; the flow goes on.
    Shutdown,
}

impl EndReason {
    /// The name in flow records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::ResetSent => "rst_sent",
            Self::ResetReceived => "rst_received",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Unreachable => "unreachable",
            Self::Prohibited => "prohibited",
            Self::NoLocalPort => "no_local_port",
            Self::Aborted => "aborted",
            Self::Timeout => "timeout",
            Self::Idle => "idle_timeout",
            Self::Evicted => "evicted",
            Self::SocketClosed => "socket_closed",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether the kernel told of the end, as opposed to the probe's own decision or discovery.
    pub fn is_told(self) -> bool {
        !matches!(
            self,
            Self::Idle | Self::Evicted | Self::SocketClosed | Self::Shutdown
        )
    }

    /// Whether the flow is over, as opposed to no longer watched.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Shutdown | Self::Evicted)
    }
}

/// The process behind a socket, as it was when the flow began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowProcess {
    /// Thread group id.
    pub pid: u32,
    /// Name of its first thread.
    pub comm: String,
    /// It is in another cgroup than the socket, which was handed over to it.
    pub is_elsewhere: bool,
}

/// Everything that is known of one flow at one moment, counted since its start.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Unique until the host reboots: the socket's cookie, or what stands for it.
    pub id: u64,
    /// Both ends.
    pub tuple: Tuple,
    /// Cgroup of the socket; 0 where the kernel does not tell.
    pub cgroup: CgroupId,
    /// Inode number of the socket's network namespace, where known.
    pub netns: Option<u32>,
    /// Who began.
    pub initiator: Initiator,
    /// Whether `initiator` is a guess, because the beginning was not seen.
    pub guessed: bool,
    /// The flow was there before the probe.
    pub taken_over: bool,
    /// Monotonic time of the start, or of the take-over.
    pub start: Duration,
    /// Monotonic time of the last sign of life that is known.
    pub last: Duration,
    /// What was exchanged since the start.
    pub counters: Counters,
    /// Packets that the kernel dropped, where it is asked.
    pub drops: Option<Drops>,
    /// What only TCP has.
    pub tcp: Option<TcpFacts>,
    /// Whose socket it is, where known.
    pub process: Option<FlowProcess>,
    /// Name that the other side's address was found by, where the container asked for one.
    pub remote_name: Option<String>,
    /// One flow in this many is counted; 1 for all.
    pub sampling: u32,
    /// Why and when it ended, and the socket's error number where it has one.
    pub end: Option<FlowEnd>,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// Why.
    pub reason: EndReason,
    /// Monotonic time.
    pub at: Duration,
    /// The socket's error number.
    pub error: Option<u16>,
}

impl Flow {
    /// Address and port of the initiator, then of the responder.
    pub fn ends(&self) -> [(IpAddr, u16); 2] {
        let local = (self.tuple.local, self.tuple.local_port);
        let remote = (self.tuple.remote, self.tuple.remote_port);
        match self.initiator {
            Initiator::Local => [local, remote],
            Initiator::Remote => [remote, local],
        }
    }
}

/// A name look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Cgroup of the asking socket.
    pub cgroup: CgroupId,
    /// Monotonic time of the answer, or of the question where none came.
    pub time: Duration,
    /// The asked server.
    pub server: IpAddr,
    /// Whether it went over TCP.
    pub over_tcp: bool,
    /// The name, without the dot at its end.
    pub name: String,
    /// Type of record by its mnemonic, such as `AAAA`, or `TYPE65`.
    pub kind: String,
    /// Response code by its mnemonic, such as `NXDOMAIN`; `None` where nobody answered.
    pub rcode: Option<String>,
    /// How long the answer took; `None` where the question was not seen or nobody answered.
    pub latency: Option<Duration>,
    /// Addresses of the answer.
    pub addresses: Vec<IpAddr>,
    /// Names that the asked one is another name of, in order.
    pub aliases: Vec<String>,
    /// How long the answer may be kept: the smallest of its records.
    pub ttl: Option<Duration>,
    /// Whether its question was told before.
    pub asked: bool,
}

/// What happens to a name look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupEvent {
    /// A question was sent.
    Asked(Lookup),
    /// It was answered, or nobody answered in time. The question may not have been seen.
    Ended(Lookup),
    /// What became of a question that was told is not known: what might say it was lost.
    Forgotten(Lookup),
}
