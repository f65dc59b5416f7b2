//! What our probes counted of a workload.

use std::net::SocketAddrV4;

use anyhow::{Context as _, Result};
use probe_common::flows::{FlowKey, FlowStats};
use probe_user::{
    model::Measurements,
    probes::{Attached, FlowsReader, TcpReader},
};

use super::workload::{
    Workload,
    packets::{PAYLOAD, RECEIVER, SENDER},
};

/// Operations that were counted, and how much was lost by what the probes say.
///
/// # Errors
///
/// If they cannot be read.
pub fn counted(probes: &mut [Attached], workload: Workload) -> Result<(u64, u64)> {
    let mut measured = Measurements::default();
    for probe in &mut *probes {
        probe.collect(&mut measured).context("read the probe")?;
    }
    let lost = measured.lost.iter().map(|lost| lost.count).sum();
    let count = match workload {
        Workload::Syscall => {
            let calls = measured
                .syscalls
                .iter()
                .filter(|row| row.syscall.name() == "getppid");
            calls.map(|row| row.calls).sum()
        }
        Workload::PingPong | Workload::PingPongAcross => measured
            .sched
            .iter()
            .map(|row| row.voluntary + row.involuntary)
            .sum(),
        Workload::Datagram => {
            let mut readers = probes
                .iter()
                .filter_map(|probe| probe.readers.flows.as_ref());
            datagrams(readers.next().context("the probe flows has a reader")?)?
        }
        Workload::Segment => {
            let mut readers = probes
                .iter_mut()
                .filter_map(|probe| probe.readers.tcp.as_mut());
            segments(readers.next().context("the probe tcp has a reader")?)
        }
    };
    Ok((count, lost))
}

/// Datagrams that both ends have counted, with all their bytes.
fn datagrams(reader: &FlowsReader) -> Result<u64> {
    let (mut sent, mut received) = (0, 0);
    let count = |key: &FlowKey, stats: &FlowStats| {
        if is_between(key, SENDER, RECEIVER) {
            sent += stats.packets_sent.min(stats.bytes_sent / PAYLOAD as u64);
        } else if is_between(key, RECEIVER, SENDER) {
            received += stats
                .packets_received
                .min(stats.bytes_received / PAYLOAD as u64);
        }
    };
    reader.each_flow(count).context("read the flows")?;
    Ok(sent.min(received))
}

fn is_between(key: &FlowKey, local: SocketAddrV4, remote: SocketAddrV4) -> bool {
    let is = |bytes: &[u8; 16], address: SocketAddrV4| bytes[..4] == address.ip().octets();
    is(&key.local, local)
        && is(&key.remote, remote)
        && (key.local_port, key.remote_port) == (local.port(), remote.port())
}

/// Segments with data by the bytes of connections that have ended, as both ends have counted them.
fn segments(reader: &mut TcpReader) -> u64 {
    let (mut sent, mut received) = (0, 0);
    while let Some(end) = reader.next_end() {
        if end.connection.local[..4] == RECEIVER.ip().octets() {
            received += end.stats.bytes_received;
        } else if end.connection.remote[..4] == RECEIVER.ip().octets() {
            sent += end.stats.bytes_sent;
        }
    }
    sent.min(received) / PAYLOAD as u64
}
