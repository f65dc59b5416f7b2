//! Packets that make no sense, at the loopback interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::{
    Done,
    net::{PATIENCE, address},
    options::Options,
    stage, sys,
};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Sends `--rounds` of packets whose headers are wrong, each of which is at a socket once when it is sent and, where a raw
/// socket of this process takes it, once when it is received; then `--random` ones of which nobody knows. Says how often a
/// wrong header was at a socket.
pub(crate) fn garbage(options: &Options) -> Done {
    let rounds: u64 = options.need("--rounds")?;
    let (v4, v6) = (
        sys::raw_socket(false, sys::IPPROTO_RAW)?,
        sys::raw_socket(true, sys::IPPROTO_RAW)?,
    );
    let receives_udp = sys::raw_socket(false, UDP.into())?;
    receives_udp.set_nonblocking(true)?;
    let send = |socket: &UdpSocket, to: IpAddr, packet: &[u8]| match socket.send_to(packet, (to, 0))
    {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{packet:?}: {error}")),
    };
    let (to4, to6) = (
        IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::from(Ipv6Addr::LOCALHOST),
    );
    let mut malformed = 0;
    for _ in 0..rounds {
        // No header is shorter than five words. The kernel receives none of these, and later ones send none.
        for words in 0..5 {
            malformed += u64::from(send(&v4, to4, &ipv4(words, UDP, &[0; 20])).is_ok());
        }
        for length in 0..8 {
            send(&v4, to4, &ipv4(5, UDP, &[7; 8][..length]))?;
            malformed += 2;
            send(&v4, to4, &ipv4(5, ICMP, &[8; 8][..length]))?;
            malformed += 1;
            send(&v6, to6, &ipv6(UDP, &[7; 8][..length]))?;
            malformed += 1;
        }
        // So that there is always room for the next ones.
        while receives_udp.recv(&mut [0; 64]).is_ok() {}
        // An option that ends behind the packet, and a fragment without its second half.
        send(
            &v6,
            to6,
            &ipv6(DESTINATION_OPTIONS, &[UDP, 255, 0, 0, 0, 0, 0, 0]),
        )?;
        send(&v6, to6, &ipv6(FRAGMENT, &[UDP, 0, 0, 0]))?;
        malformed += 2;
        // These are fine: a header of full length, and chains of options, more of which than are followed.
        send(&v4, to4, &ipv4(15, UDP, &[0; 48]))?;
        for options in 1..8 {
            send(&v6, to6, &ipv6(DESTINATION_OPTIONS, &chain(options)))?;
        }
        for length in 0..24 {
            send(&v4, to4, &ipv4(5, TCP, &[53; 24][..length]))?;
        }
    }
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..options.get_or::<u64>("--random", 0)? {
        let mut payload: Vec<u8> = (0..random(&mut seed) % 160)
            .map(|_| random(&mut seed) as u8)
            .collect();
        let protocol = random(&mut seed) as u8;
        if random(&mut seed).is_multiple_of(2) {
            let mut packet = ipv4(5, protocol, &payload);
            // Fragments too.
            packet[6] = random(&mut seed) as u8 & 0x3f;
            packet[7] = random(&mut seed) as u8;
            // Some of these the kernel refuses to send.
            v4.send_to(&packet, (to4, 0)).ok();
        } else {
            // Chains of everything.
            for byte in payload.iter_mut().step_by(8) {
                *byte = [0, 43, FRAGMENT, 51, DESTINATION_OPTIONS, UDP, TCP, 58]
                    [usize::from(*byte) % 8];
            }
            v6.send_to(&ipv6(protocol, &payload), (to6, 0)).ok();
        }
    }
    Ok(format!(r#"{{"malformed":{malformed}}}"#))
}

/// RFC 791, section 3.1. The kernel fills in lengths and sums where it finds a header at all.
fn ipv4(words: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x40 | words, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend([127, 0, 0, 1, 127, 0, 0, 1]);
    packet.extend(payload);
    packet
}

/// RFC 8200, section 3.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, high, low, next, 64];
    packet.extend(Ipv6Addr::LOCALHOST.octets());
    packet.extend(Ipv6Addr::LOCALHOST.octets());
    packet.extend(payload);
    packet
}

/// So many headers with options, the last of which is followed by a datagram of 10 bytes.
fn chain(headers: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 1..=headers {
        let next = if number == headers {
            UDP
        } else {
            DESTINATION_OPTIONS
        };
        // Padding of four bytes.
        bytes.extend([next, 0, 1, 4, 0, 0, 0, 0]);
    }
    bytes.extend([0x1b, 0x58, 0x1b, 0x58, 0, 18, 0, 0]);
    bytes.extend([0; 10]);
    bytes
}

/// A number of a sequence that is the same in every run: xorshift, G. Marsaglia.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 8
}

/// Answers `--packets` questions for names with what no name server would say.
pub(crate) fn evil_names(options: &Options) -> Done {
    let packets: u64 = options.need("--packets")?;
    let socket = UdpSocket::bind(address(options)?)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    stage::ready_and_wait()?;
    let mut buffer = [0; 512];
    let mut seed = 88_172_645_463_325_252;
    for number in 0..packets {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let question = &buffer[..length];
        socket.send_to(&evil(number, question, &mut seed), from)?;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}

/// An answer of RFC 1035, section 4.1, spoilt in one of several ways.
fn evil(number: u64, question: &[u8], seed: &mut u64) -> Vec<u8> {
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    // One answer, whose name comes behind the question; pointers are those of section 4.1.4.
    answer[7] = 1;
    let end = answer.len() as u16;
    let pointer = |to: u16| (0xc000 | to).to_be_bytes();
    let record = [0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1];
    match number % 8 {
        // To itself.
        0 => answer.extend(pointer(end)),
        // Two that point at one another.
        1 => {
            answer.extend(pointer(end + 2));
            answer.extend(pointer(end));
        }
        // Past the end.
        2 => answer.extend(pointer(0x3fff)),
        // More records than there is room for.
        3 => {
            answer[4..12].fill(0xff);
            answer.extend(pointer(12));
            answer.extend(record);
        }
        // A label that ends behind the message.
        4 => answer.extend([63, b'x', b'y']),
        // A name that is longer than any.
        5 => (0..20).for_each(|_| answer.extend([&[30][..], &[b'l'; 30]].concat())),
        // Cut anywhere.
        6 => {
            answer.extend(pointer(12));
            answer.extend(record);
            answer.truncate(2 + random(seed) as usize % (answer.len() - 2));
        }
        // Noise behind the first four bytes.
        _ => answer
            .iter_mut()
            .skip(4)
            .for_each(|byte| *byte = random(seed) as u8),
    }
    answer
}
