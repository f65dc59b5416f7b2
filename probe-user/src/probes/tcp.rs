//! The `tcp` probe: connections, their health and their ends.

mod ask;
mod errors;
mod listeners;
mod live;
mod processes;
mod refused;

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
    time::Instant,
};

use aya::{
    Ebpf,
    maps::{Map, MapData, RingBuf},
};
use probe_common::{
    owner::BY_CGROUP,
    tcp::{Connection, ConnectionEnd, LateFin, ListenDropKey, Listener, Totals},
};

use self::{ask::Asker, listeners::Listeners, live::Live};
use super::{
    Attached, Collector, Options, ProbeSpec,
    narrow::{FatesReader, Tables},
    records,
    table::Table,
};
use crate::{
    loader::{self, Globals, Kernel, LoadError},
    maps::{self, MapError},
    model::{FeatureState, ListenDropRow, MapFill, Measurements, OwnerId, TcpRow},
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "tcp",
    about: "connections: handshakes, failures, retransmissions, resets, round-trip times and ends, by container",
    hooks: |_| &HOOKS,
    attach,
};

/// The hook of the ends of connections, and the program that sends them.
const ENDS_HOOK: &str = "inet_sock_set_state";
/// The program there that takes what comes while the first one is at work.
const ENDS_AGAIN: &str = "inet_sock_set_state_again";
/// Both.
pub(super) const ENDS_PROGRAMS: [&str; 2] = [ENDS_HOOK, ENDS_AGAIN];

const HOOKS: [&str; 5] = [
    ENDS_HOOK,
    "tcp_retransmit_skb",
    "tcp_retransmit_synack",
    "tcp_send_reset",
    "tcp_receive_reset",
];
/// The function that takes segments to small sockets that stand for connections.
const LATE_HOOK: &str = "tcp_timewait_state_process";
/// The hook of packets that are freed as dropped, which shows the same segments from Linux 6.11 on.
const FREED_HOOK: &str = "kfree_skb";
/// The program there.
const FREED_PROGRAM: &str = "late_fin";
/// The hook of errors that sockets are given (Linux 5.15).
const ERRORS_HOOK: &str = "inet_sk_error_report";
/// The ring of FINs that come after the end of their connection.
const LATE_FINS: &str = "LATE_FINS";
/// The table of connections.
const CONNECTIONS: &str = "CONNECTIONS";
const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcp"));

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    let sizes = options.sizes;
    let left_out = Tables::new(&options.flow_ignore);
    let mut globals = globals(kernel, options)?;
    left_out.set(&mut globals, options);
    let at_once = ask::at_once(kernel);
    globals.set("ASKED_AT_ONCE", at_once);
    let mut ebpf = loader::load(
        OBJECT,
        &globals,
        &[
            &[
                (CONNECTIONS, sizes.connections),
                ("LISTENERS", sizes.listeners),
                ("LISTEN_DROPS", sizes.listeners),
                ("TOTALS", sizes.socket_owners),
                ("ENDS", ring_bytes(kernel.possible_cpus)),
            ],
            &left_out.sizes()[..],
        ]
        .concat(),
    )?;
    left_out.fill(&mut ebpf)?;
    let ended = FatesReader::open(&mut ebpf)?;
    let totals = Table::open(&mut ebpf, "TOTALS", sizes.socket_owners)?;
    totals.put(&OwnerId::KERNEL_OVERFLOW.0, &Totals::ZERO)?;
    let asker = Asker::open(&mut ebpf, at_once)?;
    let listeners = Listeners::open(&mut ebpf)?;
    let listen_drops = Table::open(&mut ebpf, "LISTEN_DROPS", sizes.listeners)?;
    let connections = Arc::new(maps::take(&mut ebpf, CONNECTIONS)?);
    let live = Live::open(&mut ebpf, connections.clone(), options.rtt_interval)?;
    let ring =
        RingBuf::try_from(maps::take(&mut ebpf, "ENDS")?).map_err(|source| MapError::Aya {
            map: "ENDS",
            source,
        })?;
    let late_fins_ring =
        RingBuf::try_from(maps::take(&mut ebpf, LATE_FINS)?).map_err(|source| MapError::Aya {
            map: LATE_FINS,
            source,
        })?;
    let mut reader = TcpReader {
        ends: ring,
        late_fins_ring,
        connections,
        listeners: listeners.clone(),
        asker,
        capacity: sizes.connections,
        sampling: options.flow_sampling.max(1),
        is_narrowed: options.flow_sampling > 1 || !options.flow_ignore.is_empty(),
        late_fins: Vec::new(),
        waits_for_fins: false,
        undecoded: 0,
    };
    for hook in HOOKS {
        loader::attach(&mut ebpf, kernel, hook)?;
    }
    // It knows by the cookies of sockets what the first one took.
    if has_cookies(kernel) {
        loader::attach_as(&mut ebpf, kernel, ENDS_AGAIN, ENDS_HOOK)?;
    }
    // Before, a program that reads its socket's error at once may be quicker than the end of the attempt.
    if kernel.types.has_tracepoint(ERRORS_HOOK) {
        loader::attach(&mut ebpf, kernel, ERRORS_HOOK)?;
    }
    processes::follow(&mut ebpf, kernel);
    let missing = [
        take_over(&mut ebpf, kernel),
        processes::take_over(&mut ebpf, kernel),
        late_fins(&mut ebpf, kernel),
        refused::attach(&mut ebpf, kernel),
    ];
    reader.waits_for_fins = missing[2].is_ok();
    let missing: Vec<_> = missing.into_iter().filter_map(Result::err).collect();
    let state = if missing.is_empty() {
        FeatureState::On
    } else {
        FeatureState::Degraded(missing.join("; "))
    };
    let mut attached = Attached::new(SPEC.name, state, ebpf);
    attached.collector = Some(Box::new(TcpCollector {
        totals,
        listeners,
        listen_drops,
        live,
        ended,
    }));
    attached.readers.tcp = Some(reader);
    Ok(attached)
}

/// Bytes of the ring of ends: half a MiB, 2,300 ends, for each CPU that could make some, and four times that at least. What is
/// mapped of it counts twice as the reader's memory.
fn ring_bytes(possible_cpus: u32) -> u32 {
    const MIB: u32 = 1 << 20;
    let enough = possible_cpus.saturating_mul(MIB / 2);
    enough.clamp(2 * MIB, 16 * MIB).next_power_of_two()
}

/// Enters what is there already, in all network namespaces that can be reached; or says why not.
fn take_over(ebpf: &mut Ebpf, kernel: &Kernel) -> Result<(), String> {
    loader::iterate(ebpf, kernel, "take_over", "tcp").map_err(|error| {
        let reason = crate::logs::chain(&error);
        format!("connections that were there before are not known: {reason}")
    })
}

/// Has the reader told of FINs that come after the end of their connection; or says why not.
fn late_fins(ebpf: &mut Ebpf, kernel: &Kernel) -> Result<(), String> {
    if !has_cookies(kernel) {
        // Nothing else tells which connection a FIN belongs to.
        return Err(
            "before Linux 5.12 a FIN that comes after a socket was let go of is not known".into(),
        );
    }
    let Err(error) = loader::attach_exit(ebpf, kernel, LATE_HOOK) else {
        return Ok(());
    };
    // The receiving socket, which is the small one here, is its fourth argument.
    let attached = if kernel.types.tracepoint_args(FREED_HOOK) > Some(3) {
        loader::attach_as(ebpf, kernel, FREED_PROGRAM, FREED_HOOK)
    } else {
        Err(error)
    };
    attached.map_err(|error| {
        let reason = crate::logs::chain(&error);
        format!("a FIN that comes after a socket was let go of is not known: {reason}")
    })
}

/// Whether tracing programs can make the cookie of a socket. The function came with the helper's variant for them.
fn has_cookies(kernel: &Kernel) -> bool {
    kernel.types.has_function("bpf_get_socket_ptr_cookie")
}

fn globals(kernel: &Kernel, options: &Options) -> Result<Globals, LoadError> {
    let types = &kernel.types;
    let mut globals = Globals::new();
    globals
        .set_log_level(super::log_level(options))
        .set_socket(kernel)?
        .set_if_used("OWNER_KIND", BY_CGROUP)
        .set_offset(kernel, "SOCK_PROTOCOL", &[("sock", "sk_protocol")])?
        .set_offset(kernel, "INET_SPORT", &[("inet_sock", "inet_sport")])?
        .set_offset(kernel, "SKC_COOKIE", &[("sock_common", "skc_cookie")])?
        .set_offset(kernel, "SKC_FLAGS", &[("sock_common", "skc_flags")])?
        .set_offset(kernel, "SOCK_DROPS", &[("sock", "sk_drops")])?
        .set_offset(
            kernel,
            "ICSK_PENDING",
            &[("inet_connection_sock", "icsk_pending")],
        )?
        .set("HAS_SOCKET_COOKIE", u32::from(has_cookies(kernel)))
        .set_offset(
            kernel,
            "TW_SUBSTATE",
            &[("inet_timewait_sock", "tw_substate")],
        )?;
    errors::set(&mut globals, kernel)?;
    refused::set(&mut globals, kernel)?;
    processes::set(&mut globals, kernel)?;
    let fin = types.bits_in_byte("tcphdr", "fin")?;
    globals
        .set("TCPHDR_FIN", fin.offset)
        .set("TCPHDR_FIN_SHIFT", fin.shift);
    globals
        .set_offset(kernel, "SKB_HEAD", &[("sk_buff", "head")])?
        .set_offset(
            kernel,
            "SKB_TRANSPORT_HEADER",
            &[("sk_buff", "transport_header")],
        )?;
    let segments =
        types.field_offset("sk_buff", "cb")? + types.field_offset("tcp_skb_cb", "tcp_gso_segs")?;
    globals.set("SKB_SEGMENTS", segments);
    let has_error = types.tracepoint_args("tcp_retransmit_skb") == Some(3);
    globals.set("RETRANSMIT_HAS_ERROR", u32::from(has_error));
    for (name, field) in [
        ("TCP_BYTES_SENT", "bytes_sent"),
        ("TCP_BYTES_RETRANS", "bytes_retrans"),
        ("TCP_BYTES_ACKED", "bytes_acked"),
        ("TCP_BYTES_RECEIVED", "bytes_received"),
        ("TCP_SEGS_OUT", "segs_out"),
        ("TCP_SEGS_IN", "segs_in"),
        ("TCP_DATA_SEGS_OUT", "data_segs_out"),
        ("TCP_DATA_SEGS_IN", "data_segs_in"),
        ("TCP_TOTAL_RETRANS", "total_retrans"),
        ("TCP_SRTT_US", "srtt_us"),
        ("TCP_SND_UNA", "snd_una"),
        ("TCP_SND_NXT", "snd_nxt"),
        ("TCP_WRITE_SEQ", "write_seq"),
        ("TCP_RCV_NXT", "rcv_nxt"),
    ] {
        globals.set(name, types.field_offset("tcp_sock", field)?);
    }
    let min_rtt = types.field_offset("tcp_sock", "rtt_min")?
        + types.field_offset("minmax", "s")?
        + types.field_offset("minmax_sample", "v")?;
    globals.set("TCP_RTT_MIN", min_rtt);
    let state = types.bits_in_byte("inet_connection_sock", "icsk_ca_state")?;
    globals
        .set("ICSK_CA_STATE", state.offset)
        .set("ICSK_CA_STATE_SHIFT", state.shift)
        .set("ICSK_CA_STATE_MASK", state.mask);
    Ok(globals)
}

struct TcpCollector {
    totals: Table<u64, Totals>,
    listeners: Arc<Listeners>,
    listen_drops: Table<ListenDropKey, u64>,
    live: Live,
    ended: FatesReader,
}

impl Collector for TcpCollector {
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        self.listeners.count_drops()?;
        self.live.count(Instant::now())?;
        let rows = self
            .totals
            .read()?
            .into_iter()
            .map(|(cgroup, totals)| TcpRow {
                owner: OwnerId::of_socket(cgroup),
                totals,
            });
        into.tcp.extend(rows);
        let drops = self.listen_drops.read()?.into_iter();
        into.listen_drops
            .extend(drops.map(|(key, drops)| ListenDropRow {
                owner: OwnerId::of_socket(key.cgroup),
                port: key.port,
                drops,
            }));
        into.ended = Some(self.ended.read()?);
        Ok(())
    }

    fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError> {
        self.totals
            .release(|cgroup| owners.contains(&OwnerId(*cgroup)))?;
        self.listen_drops
            .release(|key| owners.contains(&OwnerId(key.cgroup)))
    }

    fn fill(&self) -> Vec<MapFill> {
        vec![
            self.totals.fill(SPEC.name),
            self.listen_drops.fill(SPEC.name),
        ]
    }
}

/// Reads connections while they last and their ends.
pub struct TcpReader {
    ends: RingBuf<MapData>,
    late_fins_ring: RingBuf<MapData>,
    connections: Arc<Map>,
    listeners: Arc<Listeners>,
    asker: Asker,
    capacity: u32,
    sampling: u32,
    is_narrowed: bool,
    late_fins: Vec<u64>,
    waits_for_fins: bool,
    undecoded: u64,
}

impl TcpReader {
    /// The next end of a connection, if there is one. What cannot be decoded is counted and skipped.
    pub fn next_end(&mut self) -> Option<ConnectionEnd> {
        while let Some(item) = self.ends.next() {
            if let Some(end) = records::decode(&item) {
                return Some(end);
            }
            self.undecoded += 1;
        }
        None
    }

    /// Reads which FINs came after the end of their connection. To be called before those ends are read: what comes in between is
    /// read with them the next time.
    pub fn read_late_fins(&mut self) {
        while let Some(item) = self.late_fins_ring.next() {
            match records::decode::<LateFin>(&item) {
                Some(fin) => self.late_fins.push(fin.cookie),
                None => self.undecoded += 1,
            }
        }
    }

    /// The ring of ends. It is readable, for whoever waits for that, when much lies in it; a little waits for the next look.
    pub fn ring(&self) -> BorrowedFd<'_> {
        self.ends.as_fd()
    }

    /// Cookies of connections whose other side's FIN came after the end, as [`read_late_fins`](Self::read_late_fins) has read them.
    pub fn take_late_fins(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.late_fins)
    }

    /// Whether such FINs are told of.
    pub fn waits_for_fins(&self) -> bool {
        self.waits_for_fins
    }

    /// Ends that could not be decoded.
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }

    /// Connections that last, by the address of their socket.
    ///
    /// # Errors
    ///
    /// If the table cannot be read.
    pub fn connections(&self) -> Result<Vec<(u64, Connection)>, MapError> {
        maps::lookup_all(&self.connections, CONNECTIONS)
    }

    /// How many connections can be told apart.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// One connection in this many is followed.
    pub fn sampling(&self) -> u32 {
        self.sampling
    }

    /// Whether the kernel side leaves connections out. Which, it knows when they are established or have failed.
    pub fn is_narrowed(&self) -> bool {
        self.is_narrowed
    }

    /// Forgets a connection whose socket is gone without an end; answers whether it was there. One that has the same address and
    /// began at another time stays.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn forget(&self, socket: u64, start_ns: u64) -> Result<bool, MapError> {
        let taken = maps::take_entry::<u64, Connection>(&self.connections, CONNECTIONS, &socket)?;
        match taken {
            Some(other) if other.start_ns != start_ns => {
                maps::put(&self.connections, CONNECTIONS, &socket, &other)?;
                Ok(false)
            }
            taken => Ok(taken.is_some()),
        }
    }

    /// Sockets that listen, by their address.
    ///
    /// # Errors
    ///
    /// If the table cannot be read.
    pub fn listeners(&self) -> Result<Vec<(u64, Listener)>, MapError> {
        self.listeners.read()
    }

    /// Has the kernel answer questions about sockets.
    ///
    /// # Errors
    ///
    /// If the program cannot be run.
    pub fn ask(&mut self, questions: &mut [probe_common::tcp::Question]) -> Result<(), MapError> {
        self.asker.ask(questions)
    }
}

#[cfg(test)]
mod tests {
    use super::ring_bytes;

    #[test]
    fn the_ring_grows_with_the_machine_and_is_a_power_of_two() {
        let mib = |cpus| ring_bytes(cpus) >> 20;
        assert_eq!(
            [0, 2, 4, 6, 32, 64, u32::MAX].map(mib),
            [2, 2, 2, 4, 16, 16, 16]
        );
        assert!((0..200).all(|cpus| ring_bytes(cpus).is_power_of_two()));
    }
}
