//! Flags of connections, by how they end: the flow log says what `tcpdump` saw on the wire.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use probe_user::flows::FlowRecord;
use rustix::net::sockopt::set_socket_linger;
use tests::{
    capture::{Capture, Segment},
    flowlog::FlowLog,
    skip::{skip, unless_available},
    wire::{FAR, Wire},
};

use crate::faults::Watched;

/// The server's port says how a connection ends.
const BY_CLIENT: u16 = 7101;
const BY_SERVER: u16 = 7102;
const AT_ONCE: u16 = 7103;
const RESET: u16 = 7104;
const REFUSED: u16 = 7105;
const HALF_OPEN: u16 = 7106;
const HALF_CLOSED: u16 = 7107;

type Flags = BTreeSet<String>;

/// A connection between both ends of the wire: the client's socket, then the server's.
fn connection(wire: &Wire, port: u16) -> Result<[TcpStream; 2]> {
    let address: SocketAddr = format!("{FAR}:{port}").parse()?;
    let listener = wire.far.netns.inside(|| TcpListener::bind(address))?;
    let client = wire.near.netns.inside(|| TcpStream::connect(address))?;
    Ok([client, listener.accept()?.0])
}

/// Sends something one way and waits until it is there.
fn send(from: &mut TcpStream, to: &mut TcpStream) -> Result<()> {
    from.write_all(b"some")?;
    Ok(to.read_exact(&mut [0; 4])?)
}

/// One closes and the other one after it, both when they have read all.
fn close(mut first: TcpStream, mut second: TcpStream) -> Result<()> {
    first.shutdown(Shutdown::Write)?;
    second.read_to_end(&mut Vec::new())?;
    drop(second);
    first.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn live(wire: &Wire) -> Result<()> {
    let [mut client, mut server] = connection(wire, BY_CLIENT)?;
    send(&mut client, &mut server)?;
    close(client, server)?;

    let [mut client, mut server] = connection(wire, BY_SERVER)?;
    send(&mut server, &mut client)?;
    close(server, client)?;

    // Who lets go of its socket does not wait for the other side.
    let [client, server] = connection(wire, AT_ONCE)?;
    drop(client);
    thread::sleep(Duration::from_millis(200));
    drop(server);

    let [mut client, mut server] = connection(wire, RESET)?;
    send(&mut client, &mut server)?;
    set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    server.read(&mut [0; 1]).err().context("it was reset")?;

    let attempt = |port| -> Result<std::io::Error> {
        let address = format!("{FAR}:{port}").parse()?;
        let timeout = Duration::from_millis(200);
        let attempt = || TcpStream::connect_timeout(&address, timeout);
        let failed = wire.near.netns.inside(attempt).err();
        failed.context("there is nobody")
    };
    attempt(REFUSED)?;
    attempt(HALF_OPEN)?;
    Ok(())
}

/// What was seen of the segments from or to a port, in the names of the log; it does not have what a socket does not tell.
fn on_the_wire(segments: &[Segment], of: impl Fn(&Segment) -> bool) -> Flags {
    let names = [('F', "FIN"), ('S', "SYN"), ('R', "RST"), ('.', "ACK")];
    let seen: String = segments
        .iter()
        .filter(|segment| of(segment))
        .map(|segment| segment.flags.as_str())
        .collect();
    let seen = names
        .into_iter()
        .filter(|(letter, _)| seen.contains(*letter));
    seen.map(|(_, name)| name.to_owned()).collect()
}

fn set(names: &str) -> Flags {
    names.split_whitespace().map(str::to_owned).collect()
}

fn logged(flags: Option<&Vec<Cow<'static, str>>>) -> Flags {
    flags
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .collect()
}

/// Records of the connections to a port by the sockets of one side.
fn records(log: &FlowLog, port: u16, direction: &str) -> Vec<FlowRecord<'static>> {
    let flows = log.flows.iter();
    flows
        .filter(|flow| flow.dst_port == Some(port) && flow.direction == direction)
        .cloned()
        .collect()
}

/// How a connection to a port goes: flags forth and back.
const MEANT: [(u16, &str, &str); 6] = [
    (BY_CLIENT, "FIN SYN ACK", "FIN SYN ACK"),
    (BY_SERVER, "FIN SYN ACK", "FIN SYN ACK"),
    (AT_ONCE, "FIN SYN ACK", "FIN SYN ACK"),
    (RESET, "SYN RST ACK", "SYN ACK"),
    (REFUSED, "SYN", "RST ACK"),
    (HALF_OPEN, "SYN", ""),
];

#[test]
fn flags_are_those_that_were_on_the_wire() -> Result<()> {
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let wire = &watched.wire;
    let Some(()) = unless_available(
        "nftables",
        wire.far.drop_incoming(&format!("tcp dport {HALF_OPEN}")),
    ) else {
        return Ok(());
    };
    let capture = Capture::show(&wire.near.netns, "eth0", "tcp");
    let capture = unless_available("tcpdump", capture);
    live(wire)?;
    let drops = watched.is_on("drops")?;
    let tells_late_fins = watched.is_on("tcp")?;
    if !tells_late_fins {
        skip("late FINs", "not known here; `nodeprobe doctor` says why");
    }
    thread::sleep(Duration::from_millis(500));
    if let Some(capture) = capture {
        let segments = capture.segments()?;
        for (port, forth, back) in MEANT {
            let seen = [
                on_the_wire(&segments, |segment| segment.to == port),
                on_the_wire(&segments, |segment| segment.from == port),
            ];
            assert_eq!(seen, [set(forth), set(back)], "{port}: {segments:?}");
        }
    }
    let (log, _wire) = watched.log()?;
    for (port, forth, back) in MEANT {
        let sides: &[_] = match port {
            REFUSED | HALF_OPEN => &["egress"],
            _ => &["egress", "ingress"],
        };
        for direction in sides {
            let records = records(&log, port, direction);
            let ends: Vec<_> = records.iter().filter(|it| it.event == "end").collect();
            let [record] = ends[..] else {
                panic!("{port} {direction}: {records:?}");
            };
            let mut back = set(back);
            if port == AT_ONCE && *direction == "egress" && !tells_late_fins {
                back.remove("FIN");
            }
            let is = [&record.tcp_flags_fwd, &record.tcp_flags_rev];
            let is = is.map(|flags| logged(flags.as_ref()));
            assert_eq!(is, [set(forth), back], "{port} {direction}: {record:?}");
            if port != HALF_OPEN && port != REFUSED && drops {
                // What ends well, or by a reset, has lost nothing.
                let dropped = (record.drops_fwd_total, record.drops_rev_total);
                assert_eq!(
                    dropped,
                    (Some(0), Some(0)),
                    "{port} {direction}: {record:?}"
                );
            }
        }
    }
    Ok(())
}

/// What lasts has the flags that there were so far.
#[test]
fn a_connection_that_one_side_has_closed_has_its_fin() -> Result<()> {
    let Some(watched) = Watched::new()? else {
        return Ok(());
    };
    let mut open = Vec::new();
    for _ in 0..5 {
        let [client, server] = connection(&watched.wire, HALF_CLOSED)?;
        client.shutdown(Shutdown::Write)?;
        open.push([client, server]);
    }
    // The first look at each comes within the second.
    thread::sleep(Duration::from_secs(3));
    drop(open);
    let (log, _wire) = watched.log()?;
    for direction in ["egress", "ingress"] {
        let records = records(&log, HALF_CLOSED, direction);
        let starts: Vec<_> = records.iter().filter(|it| it.event == "start").collect();
        assert_eq!(starts.len(), 5, "{records:?}");
        // One may have been looked at before it was half closed.
        let closed = starts.iter().filter(|record| {
            assert!(
                !logged(record.tcp_flags_rev.as_ref()).contains("FIN"),
                "{record:?}"
            );
            logged(record.tcp_flags_fwd.as_ref()).contains("FIN")
        });
        assert!(closed.count() >= 4, "{starts:?}");
    }
    Ok(())
}
