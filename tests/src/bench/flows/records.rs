//! Records of what ends: connections, and messages of name look-ups.
//!
//! There is no record for an event that is frequent, so what is measured is how much a reader takes that looks ten times a
//! second, as the agent does, and from which rate on something is lost.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use probe_common::loss;
use probe_user::{
    flows::Event,
    kernel::{clock::monotonic, wait::Waiter},
    loader::Kernel,
    probes::Attached,
    session::{FlowEvent, FlowFollower, FlowSettings},
};
use serde::Serialize;

use super::{Figure, crowd::address};
use crate::bench::{
    net::network,
    spread::Spread,
    subject::ours,
    workload::packets::{self, RECEIVER, SENDER},
};

/// For how long each rate is kept.
const TIME: Duration = Duration::from_secs(3);
/// As the agent does.
const POLL_EVERY: Duration = Duration::from_millis(100);
/// Messages of look-ups in a second, one after the other until something is lost.
const MESSAGES: [u32; 7] = [10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 120_000];

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Records {
    /// Connections as fast as one CPU makes them, at both ends.
    pub ends: Option<Rate>,
    /// Messages of look-ups at both ends: the highest rate without a loss, and the next one.
    pub messages: Vec<Rate>,
}

/// Records at one rate.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rate {
    /// Records in a second.
    pub per_second: f64,
    /// Those that found no room in the ring.
    pub lost: u64,
    /// Processor time of who reads them, with all that it makes of them, in per cent of one CPU.
    pub cpu: f64,
}

/// Measures both.
pub(super) fn measure(kernel: &Kernel) -> Result<Records> {
    let mut records = Records {
        ends: Some(ends(kernel)?),
        messages: Vec::new(),
    };
    for per_second in MESSAGES {
        let rate = messages(kernel, per_second)?;
        if rate.lost > 0 {
            records.messages.push(rate);
            break;
        }
        records.messages = vec![rate];
    }
    Ok(records)
}

impl Records {
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        let named = [("ends of connections", self.ends.as_slice())]
            .into_iter()
            .chain([("messages of look-ups", self.messages.as_slice())]);
        for (name, rates) in named {
            for rate in rates {
                let mut add = |what: &str, unit, value| {
                    figures.push(Figure {
                        what: format!("{name}{what}"),
                        unit,
                        measured: Spread::of([value]),
                    });
                };
                add("", "/s", rate.per_second);
                add(", lost", "", rate.lost as f64);
                add(", CPU of the reader", "%", rate.cpu);
            }
        }
        figures
    }
}

/// Connections one after the other, each with one byte.
fn ends(kernel: &Kernel) -> Result<Rate> {
    let mut probe = ours::attach("tcp", kernel, &ours::defaults(kernel))?;
    let readers = (None, probe.readers.tcp.take());
    let (made, told, rate) = followed(&mut probe, readers, || {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).context("listen")?;
        let port = listener.local_addr().context("ask for the port")?.port();
        let begin = Instant::now();
        let mut made = 0;
        while begin.elapsed() < TIME {
            // Another address each time, because a port stays taken for a minute.
            let mut client = TcpStream::connect((address(made), port)).context("connect")?;
            let (server, _) = listener.accept().context("accept")?;
            client.write_all(&[0]).context("send a byte")?;
            drop(client);
            drop(server);
            made += 1;
        }
        Ok(2 * u64::from(made))
    })?;
    ensure!(
        told + rate.lost >= made,
        "of {made} ends {told} were told and {} lost",
        rate.lost
    );
    Ok(rate)
}

/// Datagrams to port 53 at an even pace: each is a message at both ends.
fn messages(kernel: &Kernel, per_second: u32) -> Result<Rate> {
    let mut probe = ours::attach("flows", kernel, &ours::defaults(kernel))?;
    let readers = (probe.readers.flows.take(), None);
    let (_, _, rate) = followed(&mut probe, readers, || {
        let server = SocketAddrV4::new(*RECEIVER.ip(), 53);
        let (sender, receiver) = packets::sockets(SENDER, server)?;
        let mut answer = b"\0\0\x81\x80\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01".to_vec();
        let mut buffer = [0; 512];
        let begin = Instant::now();
        let mut sent = 0_u32;
        while begin.elapsed() < TIME {
            let due = (begin.elapsed().as_secs_f64() * f64::from(per_second) / 2.0) as u32;
            if sent >= due {
                thread::sleep(Duration::from_micros(200));
            }
            while sent < due {
                answer[..2].copy_from_slice(&(sent as u16).to_be_bytes());
                sender.send(&answer).context("send")?;
                receiver.recv(&mut buffer).context("receive")?;
                sent += 1;
            }
        }
        Ok(2 * u64::from(sent))
    })?;
    Ok(rate)
}

/// Follows a probe while something makes records; answers how many were made and how many ends of flows were told.
fn followed(
    probe: &mut Attached,
    readers: (
        Option<probe_user::probes::FlowsReader>,
        Option<probe_user::probes::TcpReader>,
    ),
    make: impl FnOnce() -> Result<u64> + Send,
) -> Result<(u64, u64, Rate)> {
    let settings = FlowSettings {
        sweep: Duration::from_secs(10),
        period: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        lookup_timeout: probe_user::flows::TIMEOUT,
    };
    let stop = AtomicBool::new(false);
    let (made, took, told, used) = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut follower = FlowFollower::new(readers, settings, monotonic());
            // Without it, it is polled alone.
            let waiter = Waiter::new(follower.ring()).unwrap_or_default();
            let mut told = 0;
            let before = thread_time();
            loop {
                let last = stop.load(Ordering::Relaxed);
                told += ends_among(&follower.poll(monotonic()));
                if last {
                    break;
                }
                waiter.wait(POLL_EVERY);
            }
            let used = thread_time().saturating_sub(before);
            told += ends_among(&follower.finish(monotonic()));
            (told, used)
        });
        let begin = Instant::now();
        let made = network().and_then(|network| network.run(make));
        let took = begin.elapsed();
        stop.store(true, Ordering::Relaxed);
        let (told, used) = reader.join().map_err(|_| anyhow!("a thread panicked"))?;
        anyhow::Ok((made?, took, told, used))
    })?;
    let full = loss::NAMES[loss::RING_FULL as usize];
    let lost = probe.lost().into_iter().filter(|lost| lost.reason == full);
    let rate = Rate {
        per_second: made as f64 / took.as_secs_f64(),
        lost: lost.map(|lost| lost.count).sum(),
        cpu: 100.0 * used.div_duration_f64(took),
    };
    Ok((made, told, rate))
}

fn ends_among(events: &[FlowEvent]) -> u64 {
    let ends = events
        .iter()
        .filter(|event| matches!(event, FlowEvent::Flow(report) if report.event == Event::End));
    ends.count() as u64
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
