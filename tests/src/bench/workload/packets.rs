//! Packets over loopback, sent and received by one thread: the kernel brings each to the receiver
//! before the sender goes on, so both directions are in the sender's time.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use super::{Done, timed};
use crate::bench::net::network;

/// Who sends. Nothing else uses these addresses.
pub const SENDER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 77, 0, 1), 40_000);
/// Who receives.
pub const RECEIVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 77, 0, 2), 40_001);
/// Bytes of payload.
pub const PAYLOAD: usize = 100;

/// Packets of a slice: some milliseconds.
const PACKETS: u32 = 5_000;
/// Longer than any disturbance; only against hanging for ever.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn datagrams(slices: u32, between: impl FnMut()) -> Result<Done> {
    network()?.enter()?;
    let (sender, receiver) = sockets(SENDER, RECEIVER)?;
    let mut buffer = [0; 2 * PAYLOAD];
    timed(slices, PACKETS, 1, between, || {
        for _ in 0..PACKETS {
            sender.send(&[b'd'; PAYLOAD])?;
            receiver.recv(&mut buffer)?;
        }
        Ok(())
    })
    .map_err(|error: std::io::Error| anyhow!(error).context("send a datagram and receive it"))
}

/// Sockets of datagrams that are connected to one another.
///
/// # Errors
///
/// If they cannot be had.
pub fn sockets(sender: SocketAddrV4, receiver: SocketAddrV4) -> Result<(UdpSocket, UdpSocket)> {
    let bind = |address| UdpSocket::bind(address).with_context(|| format!("bind {address}"));
    let sockets = (bind(sender)?, bind(receiver)?);
    sockets.0.connect(receiver).context("connect")?;
    sockets
        .1
        .set_read_timeout(Some(PATIENCE))
        .context("set a time limit")?;
    Ok(sockets)
}

pub(super) fn segments(slices: u32, between: impl FnMut()) -> Result<Done> {
    network()?.enter()?;
    let listener = TcpListener::bind((*RECEIVER.ip(), 0)).context("listen")?;
    let address = listener.local_addr().context("ask for the port")?;
    let mut sender = TcpStream::connect(address).context("connect")?;
    let (mut receiver, _) = listener.accept().context("accept")?;
    sender.set_nodelay(true).context("send at once")?;
    receiver
        .set_read_timeout(Some(PATIENCE))
        .context("set a time limit")?;
    let mut buffer = [0; PAYLOAD];
    timed(slices, PACKETS, 1, between, || {
        for _ in 0..PACKETS {
            sender.write_all(&[b's'; PAYLOAD])?;
            receiver.read_exact(&mut buffer)?;
        }
        Ok(())
    })
    .map_err(|error: std::io::Error| anyhow!(error).context("send a segment and receive it"))
}
