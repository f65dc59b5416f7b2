//! Pictures for the live table.

use std::time::{Duration, Instant};

use super::{Agent, lock};
use crate::{
    config::Config,
    render::view::{LiveHeader, LiveView, ProbeState},
    report::Rates,
};

/// What is remembered between pictures.
pub(super) struct Live {
    rates: Rates,
    host: String,
    kernel: String,
    listen: String,
    last: Option<Reading>,
}

#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cpu: Duration,
    bpf: Duration,
    lost: u64,
}

impl Live {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            rates: Rates::default(),
            host: config.node.clone(),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            listen: config.listen.to_string(),
            last: None,
        }
    }
}

impl Agent {
    /// What the live table shows at this moment.
    pub fn live_view(&self) -> LiveView {
        let measurements = self.collect(Duration::ZERO);
        let health = self.session.health();
        let now = Instant::now();
        let reading = Reading {
            at: now,
            cpu: cpu_time(),
            bpf: health
                .iter()
                .flat_map(|probe| &probe.programs)
                .map(|p| p.run_time)
                .sum(),
            lost: measurements.lost.iter().map(|lost| lost.count).sum(),
        };
        let mut live = lock(&self.live);
        let rows = live
            .rates
            .rows(&measurements, self.session.identities(), now);
        let last = live.last.replace(reading);
        let seconds = last
            .map(|last| now.duration_since(last.at).as_secs_f64())
            .filter(|s| *s > 0.0);
        let share = |now: Duration, before: Option<Duration>| {
            Some(now.saturating_sub(before?).as_secs_f64() / seconds?)
        };
        let lost = reading
            .lost
            .saturating_sub(last.map_or(0, |last| last.lost));
        let header = LiveHeader {
            host: live.host.clone(),
            kernel: live.kernel.clone(),
            uptime: self.session.started().elapsed(),
            probes: health.iter().map(ProbeState::from).collect(),
            lost_per_second: seconds.map_or(0.0, |seconds| lost as f64 / seconds),
            lost_total: reading.lost,
            series: self.registry.lock().time_series() as u64,
            listen: Some(live.listen.clone()),
            containers: self.session.identities().containers().len(),
            agent_cpu: share(reading.cpu, last.map(|last| last.cpu)),
            agent_rss_bytes: resident_bytes(),
            bpf_cpu: share(reading.bpf, last.map(|last| last.bpf)).filter(|share| *share > 0.0),
        };
        LiveView { header, rows }
    }
}

/// CPU time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Resident memory of this process: the second field of `/proc/self/statm`, in pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
