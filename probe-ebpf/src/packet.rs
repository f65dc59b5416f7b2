//! Headers of a packet at a socket: bounded, checked, and only what a flow is made of.

use aya_ebpf::programs::SkBuffContext;
use probe_common::flows::{DCCP, ICMP, ICMPV6, SCTP, TCP, UDP, UDP_LITE};

/// Extension headers that are skipped before the transport's. Each doubles what the verifier has to look at, and those before
/// Linux 6.8 look at all of it.
const MAX_EXTENSIONS: usize = 3;
/// Bytes of a UDP header.
const UDP_HEADER: u32 = 8;
/// Bytes of the common header of SCTP.
const SCTP_HEADER: u32 = 12;

/// What the headers say.
pub struct Packet {
    /// 4 or 6.
    pub ip_version: u8,
    /// Internet protocol number, after the extension headers of IPv6.
    pub protocol: u8,
    /// A fragment other than the first: it shows no ports.
    pub is_fragment: bool,
    /// 4 bytes of IPv4 and zeroes, or 16 of IPv6.
    pub source: [u8; 16],
    /// As `source`.
    pub destination: [u8; 16],
    /// Where the transport's header begins.
    pub transport: u32,
}

/// Ports, or what stands for them.
#[derive(Clone, Copy, Default)]
pub struct Ports {
    /// Source port in host order; for ICMP the identifier.
    pub source: u16,
    /// Destination port in host order; for ICMP the same identifier.
    pub destination: u16,
    /// For ICMP the type of the request, times 256, and the code; else 0.
    pub icmp: u16,
    /// For ICMP: an answer.
    pub is_reply: bool,
    /// Bytes after the transport's header.
    pub payload: u32,
}

/// A packet whose headers make no sense.
pub struct Malformed;

/// Where the bytes of a packet come from.
pub trait Source {
    /// Copies what begins so many bytes after the beginning of the network's header.
    ///
    /// # Errors
    ///
    /// If the packet ends before.
    fn load<T>(&self, at: u32) -> Result<T, Malformed>;

    /// Bytes from the beginning of the network's header to the end.
    fn length(&self) -> u32;
}

impl Source for SkBuffContext {
    #[inline(always)]
    fn load<T>(&self, at: u32) -> Result<T, Malformed> {
        Self::load(self, at as usize).map_err(|_| Malformed)
    }

    #[inline(always)]
    fn length(&self) -> u32 {
        self.len()
    }
}

/// The first byte of the packet, and the one after the last that can be read directly.
#[inline(always)]
pub fn bounds(ctx: &SkBuffContext) -> (usize, usize) {
    // SAFETY: the context is that of the program, and the verifier knows both fields as pointers.
    unsafe {
        (
            (*ctx.skb.skb).data as usize,
            (*ctx.skb.skb).data_end as usize,
        )
    }
}

/// The protocol of a packet from its first header, without more; `None` if it is no whole one.
#[inline(always)]
pub fn first_protocol(ctx: &SkBuffContext) -> Option<u8> {
    let (start, end) = bounds(ctx);
    if start + 20 > end {
        return None;
    }
    let header = start as *const u8;
    // SAFETY: 20 bytes from the start are inside the packet, which the verifier checks as well.
    unsafe {
        match *header >> 4 {
            4 => Some(*header.add(9)),
            6 => Some(*header.add(6)),
            _ => None,
        }
    }
}

/// Reads the headers of the network layer.
///
/// # Errors
///
/// If they are cut or of no version that we know.
#[inline(always)]
pub fn parse(ctx: &SkBuffContext) -> Result<Packet, Malformed> {
    let (start, end) = bounds(ctx);
    if start + 20 > end {
        return Err(Malformed);
    }
    let header = start as *const u8;
    // SAFETY: 20 bytes from the start are inside the packet, and 40 where that is checked. The kernel aligns network headers to
    // 4 bytes.
    unsafe {
        if *header >> 4 == 4 {
            return v4(header);
        }
        if *header >> 4 != 6 || start + 40 > end {
            return Err(Malformed);
        }
        let mut packet = v6(header);
        skip_extensions(ctx, &mut packet)?;
        Ok(packet)
    }
}

/// A header of IPv4, RFC 791 section 3.1.
///
/// # Errors
///
/// If its length is less than it has.
///
/// # Safety
///
/// 20 bytes from `header` on must be readable, and it be aligned to 4 bytes.
#[inline(always)]
pub unsafe fn v4(header: *const u8) -> Result<Packet, Malformed> {
    // SAFETY: passed on to the caller.
    unsafe {
        let mut packet = Packet {
            ip_version: 4,
            protocol: *header.add(9),
            is_fragment: false,
            source: [0; 16],
            destination: [0; 16],
            transport: u32::from(*header & 0x0f) * 4,
        };
        if packet.transport < 20 {
            return Err(Malformed);
        }
        // Flags and offset: bits 0 to 12 are the offset.
        let fragment = u16::from_be_bytes([*header.add(6), *header.add(7)]);
        packet.is_fragment = fragment & 0x1fff != 0;
        packet.source[..4].copy_from_slice(&(*header.add(12).cast::<u32>()).to_ne_bytes());
        packet.destination[..4].copy_from_slice(&(*header.add(16).cast::<u32>()).to_ne_bytes());
        Ok(packet)
    }
}

/// A header of IPv6, RFC 8200 section 3, without what extends it.
///
/// # Safety
///
/// 40 bytes from `header` on must be readable, and it be aligned to 4 bytes.
#[inline(always)]
pub unsafe fn v6(header: *const u8) -> Packet {
    // SAFETY: passed on to the caller.
    unsafe {
        let words = header.cast::<u32>();
        let mut packet = Packet {
            ip_version: 6,
            protocol: *header.add(6),
            is_fragment: false,
            source: [0; 16],
            destination: [0; 16],
            transport: 40,
        };
        for i in 0..4 {
            packet.source[i * 4..i * 4 + 4].copy_from_slice(&(*words.add(2 + i)).to_ne_bytes());
            packet.destination[i * 4..i * 4 + 4]
                .copy_from_slice(&(*words.add(6 + i)).to_ne_bytes());
        }
        packet
    }
}

/// Goes over the extension headers of IPv6, RFC 8200 section 4.
///
/// # Errors
///
/// If they are cut.
#[inline(always)]
pub fn skip_extensions(from: &impl Source, packet: &mut Packet) -> Result<(), Malformed> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    for _ in 0..MAX_EXTENSIONS {
        let is_fragment = packet.protocol == FRAGMENT;
        if !is_fragment && !matches!(packet.protocol, HOP_BY_HOP | ROUTING | DESTINATION) {
            return Ok(());
        }
        let head: [u8; 4] = from.load(packet.transport)?;
        packet.protocol = head[0];
        if is_fragment {
            packet.transport += 8;
            packet.is_fragment = u16::from_be_bytes([head[2], head[3]]) & 0xfff8 != 0;
            // What follows in the first fragment is the transport; in others nobody knows.
            return Ok(());
        }
        packet.transport += (u32::from(head[1]) + 1) * 8;
    }
    // More of them than anybody sends: counted by the number that comes next.
    Ok(())
}

/// Reads the header of the transport.
///
/// # Errors
///
/// If it is cut.
#[inline(always)]
pub fn ports(from: &impl Source, packet: &Packet) -> Result<Ports, Malformed> {
    let after = from
        .length()
        .checked_sub(packet.transport)
        .ok_or(Malformed)?;
    let mut ports = Ports {
        payload: after,
        ..Ports::default()
    };
    if packet.is_fragment {
        return Ok(ports);
    }
    let header = match packet.protocol {
        UDP | UDP_LITE => UDP_HEADER,
        SCTP => SCTP_HEADER,
        TCP | DCCP => 0,
        ICMP | ICMPV6 => return icmp(from, packet, ports),
        _ => return Ok(ports),
    };
    let head: [u8; 4] = from.load(packet.transport)?;
    ports.source = u16::from_be_bytes([head[0], head[1]]);
    ports.destination = u16::from_be_bytes([head[2], head[3]]);
    ports.payload = after.checked_sub(header).ok_or(Malformed)?;
    Ok(ports)
}

/// Types of ICMP (RFC 792) and ICMPv6 (RFC 4443) that ask and answer with an identifier.
#[inline(always)]
fn icmp(from: &impl Source, packet: &Packet, mut ports: Ports) -> Result<Ports, Malformed> {
    let head: [u8; 8] = from.load(packet.transport)?;
    let (kind, code) = (head[0], head[1]);
    // Echo, timestamp, information, address mask; the reply's number to the request's.
    let request = match (packet.protocol, kind) {
        (ICMP, 8 | 0) => 8,
        (ICMP, 13 | 14) => 13,
        (ICMP, 15 | 16) => 15,
        (ICMP, 17 | 18) => 17,
        (ICMPV6, 128 | 129) => 128,
        _ => {
            ports.icmp = u16::from_be_bytes([kind, code]);
            return Ok(ports);
        }
    };
    ports.is_reply = kind != request;
    ports.icmp = u16::from_be_bytes([request, code]);
    ports.source = u16::from_be_bytes([head[4], head[5]]);
    ports.destination = ports.source;
    Ok(ports)
}
