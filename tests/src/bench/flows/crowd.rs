//! Many flows of datagrams at a time.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context as _, Result};

use crate::bench::net::network;

/// Sockets whose flows are in the tables of who watches.
#[derive(Debug)]
pub(super) struct Crowd {
    #[expect(dead_code, reason = "their sockets stay for as long as their flows")]
    sockets: [UdpSocket; 2],
}

impl Crowd {
    /// Makes that many flows: a datagram to each of half as many addresses, which is a flow of the sending socket and one
    /// of the receiving.
    pub(super) fn make(flows: u32) -> Result<Self> {
        network()?.run(|| {
            let receiver = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("bind")?;
            let port = receiver.local_addr().context("ask for the port")?.port();
            let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("bind")?;
            let mut buffer = [0; 16];
            for number in 0..flows / 2 {
                let address = address(number);
                sender
                    .send_to(&[0; 8], (address, port))
                    .with_context(|| format!("send to {address}"))?;
                receiver.recv(&mut buffer).context("receive")?;
            }
            Ok(Self {
                sockets: [sender, receiver],
            })
        })
    }
}

/// An address of loopback for each number.
pub(super) fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 128, 0, 0)) + number)
}
