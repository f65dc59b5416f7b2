//! Exact numbers of connections, datagrams and bytes, over loopback unless `--host` says otherwise.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use crate::{Done, options::Options, stage};

/// Longer than any test waits; only against hanging for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Where to listen or connect: `--port` of the address `--host`, or of the loopback interface.
pub(crate) fn address(options: &Options) -> Result<SocketAddr, Box<dyn std::error::Error>> {
    let port: u16 = options.need("--port")?;
    let loopback: IpAddr = if options.has("--v6") {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    };
    Ok((options.get_or("--host", loopback)?, port).into())
}

/// Accepts `--connections`, reads each to its end, answers `--answer` bytes and closes. Ready when it listens; with `--procs` it moves
/// into that cgroup then.
pub(crate) fn serve(options: &Options) -> Done {
    let connections: u64 = options.need("--connections")?;
    let answer = vec![b'a'; options.get_or("--answer", 0)?];
    let listener = TcpListener::bind(address(options)?)?;
    stage::ready_and_wait()?;
    if let Some(procs) = options.get::<String>("--procs")? {
        fs::write(procs, "0")?;
    }
    let mut received = 0;
    for _ in 0..connections {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        received += stream.read_to_end(&mut Vec::new())?;
        stream.write_all(&answer)?;
    }
    Ok(format!(
        r#"{{"connections":{connections},"received":{received}}}"#
    ))
}

/// Makes `--connections` one after the other, sends `--send` bytes on each and reads to its end. With `--open` it makes one, and
/// is ready when it is made.
pub(crate) fn connect(options: &Options) -> Done {
    let connections: u64 = options.need("--connections")?;
    let data = vec![b'c'; options.get_or("--send", 0)?];
    let address = address(options)?;
    let mut received = 0;
    let mut open = None;
    if options.has("--open") {
        open = Some(TcpStream::connect(address)?);
        stage::ready_and_wait()?;
    }
    for _ in 0..connections {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => TcpStream::connect(address)?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&data)?;
        stream.shutdown(Shutdown::Write)?;
        received += stream.read_to_end(&mut Vec::new())?;
    }
    Ok(format!(
        r#"{{"connections":{connections},"received":{received}}}"#
    ))
}

/// Tries to connect `--connections` times where nobody listens.
pub(crate) fn refused(options: &Options) -> Done {
    let connections: u64 = options.need("--connections")?;
    let address = address(options)?;
    for _ in 0..connections {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            other => return Err(format!("not refused: {other:?}").into()),
        }
    }
    Ok(format!(r#"{{"connections":{connections}}}"#))
}

/// Listens and never accepts. Connects until the queue is full, and then `--spare` times more in vain. The listener stays.
pub(crate) fn crowd(options: &Options) -> Done {
    /// Shorter than the time after which the kernel asks again, and than anybody should wait.
    const SHORT: Duration = Duration::from_millis(300);
    let spare: u64 = options.need("--spare")?;
    let address = address(options)?;
    std::mem::forget(TcpListener::bind(address)?);
    let mut waiting = Vec::new();
    let mut dropped = 0;
    while dropped < spare {
        match TcpStream::connect_timeout(&address, SHORT) {
            Ok(stream) => waiting.push(stream),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => dropped += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(format!(
        r#"{{"waiting":{},"dropped":{dropped}}}"#,
        waiting.len()
    ))
}

/// Sends `--packets` datagrams back to where they come from. Ready when it is bound.
pub(crate) fn echo(options: &Options) -> Done {
    let packets: u64 = options.need("--packets")?;
    let socket = UdpSocket::bind(address(options)?)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    stage::ready_and_wait()?;
    let mut buffer = [0; 65_536];
    for _ in 0..packets {
        let (length, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], from)?;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}

/// Sends `--packets` datagrams of `--bytes` and waits for the answer to each, on a socket that is not connected.
pub(crate) fn ask(options: &Options) -> Done {
    let packets: u64 = options.need("--packets")?;
    let data = vec![b'u'; options.get_or("--bytes", 100)?];
    let address = address(options)?;
    let socket = unconnected(address.ip())?;
    let mut buffer = [0; 65_536];
    for _ in 0..packets {
        socket.send_to(&data, address)?;
        socket.recv_from(&mut buffer)?;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}

/// Answers `--packets` questions for names at `--port`: each with NXDOMAIN, by turning the question round.
pub(crate) fn name_server(options: &Options) -> Done {
    let packets: u64 = options.need("--packets")?;
    let socket = UdpSocket::bind(address(options)?)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    stage::ready_and_wait()?;
    let mut buffer = [0; 512];
    for _ in 0..packets {
        let (length, from) = socket.recv_from(&mut buffer)?;
        // RFC 1035 section 4.1.1: the bit for an answer, and code 3.
        buffer[2] |= 0x80;
        buffer[3] = 3;
        socket.send_to(&buffer[..length], from)?;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}

/// Asks `--packets` times for the address of `example.com`.
pub(crate) fn look_up(options: &Options) -> Done {
    let packets: u16 = options.need("--packets")?;
    let address = address(options)?;
    let socket = unconnected(address.ip())?;
    socket.connect(address)?;
    let mut buffer = [0; 512];
    for id in 1..=packets {
        socket.send(&question(id))?;
        socket.recv(&mut buffer)?;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}

/// A question for the address of `example.com`, RFC 1035 section 4.1.
pub(crate) fn question(id: u16) -> Vec<u8> {
    let mut question = id.to_be_bytes().to_vec();
    question.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    question.extend(b"\x07example\x03com\0\0\x01\0\x01");
    question
}

/// A socket for datagrams to addresses of the same version.
pub(crate) fn unconnected(to: IpAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => [0; 4].into(),
        IpAddr::V6(_) => [0; 16].into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}
