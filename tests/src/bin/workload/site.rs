//! Two programs that exchange exact amounts of everything with one another, over a real network: `site` and its `visit`ors.

use std::{
    io::{self, Read as _, Write as _},
    mem,
    net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
};

use crate::{
    Done,
    net::{PATIENCE, unconnected},
    options::Options,
    stage, sys,
};

/// Bytes handed to the kernel at once.
const PIECE: usize = 1 << 16;

/// Connections that are served at the same time.
const WORKERS: u32 = 32;

static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
static RECEIVED: AtomicU64 = AtomicU64::new(0);
static PACKETS: AtomicU64 = AtomicU64::new(0);

/// Serves `--port` of all addresses, by sockets of IPv6 that take IPv4 as well, until the second signal: reads connections to
/// their end, answers `--answer` bytes, closes; and sends datagrams back to where they come from. Ready when it is bound.
pub(crate) fn site(options: &Options) -> Done {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, options.need("--port")?));
    let answer = vec![b'a'; options.get_or("--answer", 0)?];
    let listener = TcpListener::bind(any)?;
    let socket = UdpSocket::bind(any)?;
    stage::ready_and_wait()?;
    // They end with the process.
    for _ in 0..WORKERS {
        let (listener, answer) = (listener.try_clone()?, answer.clone());
        thread::spawn(move || serve(&listener, &answer));
    }
    thread::spawn(move || echo(&socket));
    sys::wait_for(sys::SIGUSR1, None)?;
    let [connections, received, packets] =
        [&CONNECTIONS, &RECEIVED, &PACKETS].map(|count| count.load(Relaxed));
    Ok(format!(
        r#"{{"connections":{connections},"received":{received},"packets":{packets}}}"#
    ))
}

fn serve(listener: &TcpListener, answer: &[u8]) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept()?;
        // A client that resets is no reason to stop, and is not counted.
        _ = answer_one(&mut stream, answer);
    }
}

fn answer_one(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    RECEIVED.fetch_add(read_all(stream)?, Relaxed);
    stream.write_all(answer)?;
    CONNECTIONS.fetch_add(1, Relaxed);
    Ok(())
}

fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = [0; PIECE];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], from)?;
        PACKETS.fetch_add(1, Relaxed);
    }
}

/// Visits the sites at the addresses `--to`, separated by commas, each in the same way: `--connections` with `--send` bytes one
/// after the other, one more with `--bulk` bytes, `--packets` datagrams of `--bytes` of which 32 are on their way at a time,
/// and `--pings`. It waits for all answers. With `--keep` the bulk is not, and its connection stays until the process ends.
pub(crate) fn visit(options: &Options) -> Done {
    let port = options.need("--port")?;
    let to: String = options.need("--to")?;
    let (mut received, mut answered) = (0, 0);
    for address in to.split(',') {
        let address: IpAddr = address.parse()?;
        let to = SocketAddr::from((address, port));
        let send: u64 = options.get_or("--send", 0)?;
        for _ in 0..options.get_or::<u64>("--connections", 0)? {
            received += transfer(to, send)?;
        }
        match options.get("--bulk")? {
            Some(bulk) if options.has("--keep") => mem::forget(send_all(to, bulk)?),
            Some(bulk) => received += transfer(to, bulk)?,
            None => {}
        }
        let data = vec![b'u'; options.get_or("--bytes", 100)?];
        answered += datagrams(to, &data, options.get_or("--packets", 0)?)?;
        answered += pings(address, options.get_or("--pings", 0)?)?;
    }
    Ok(format!(
        r#"{{"received":{received},"answered":{answered}}}"#
    ))
}

/// One connection that sends so much and reads to the end.
fn transfer(to: SocketAddr, bytes: u64) -> io::Result<u64> {
    let mut stream = send_all(to, bytes)?;
    stream.shutdown(Shutdown::Write)?;
    read_all(&mut stream)
}

/// One connection that sends so much, and is not closed yet.
fn send_all(to: SocketAddr, bytes: u64) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let piece = [b'c'; PIECE];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(PIECE as u64);
        stream.write_all(&piece[..now as usize])?;
        left -= now;
    }
    Ok(stream)
}

fn datagrams(to: SocketAddr, data: &[u8], packets: u64) -> io::Result<u64> {
    const WINDOW: u64 = 32;
    let socket = unconnected(to.ip())?;
    let mut buffer = [0; PIECE];
    let mut left = packets;
    while left > 0 {
        let now = left.min(WINDOW);
        for _ in 0..now {
            socket.send_to(data, to)?;
        }
        for _ in 0..now {
            socket.recv_from(&mut buffer)?;
        }
        left -= now;
    }
    Ok(packets)
}

/// Echo requests of ICMP or ICMPv6, each of which is answered before the next.
fn pings(to: IpAddr, count: u64) -> io::Result<u64> {
    if count == 0 {
        return Ok(0);
    }
    let socket = sys::ping_socket(to.is_ipv6())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // RFC 792 and RFC 4443: type, code, checksum and identifier, of which the kernel fills in the last two.
    let mut request = [0; 56];
    request[0] = if to.is_ipv6() { 128 } else { 8 };
    let mut buffer = [0; 256];
    for number in 0..count {
        request[6..8].copy_from_slice(&(number as u16).to_be_bytes());
        socket.send_to(&request, (to, 0))?;
        socket.recv_from(&mut buffer)?;
    }
    Ok(count)
}

/// Reads to the end and keeps nothing.
fn read_all(stream: &mut TcpStream) -> io::Result<u64> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(bytes),
            read => bytes += read as u64,
        }
    }
}
