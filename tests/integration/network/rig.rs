//! What the tests of the network's probes share: a session, its follower, and what it told.

use std::{collections::HashMap, os::unix::fs::MetadataExt as _, time::Duration};

use anyhow::{Context as _, Result};
use probe_user::{
    flows::Event,
    identity::Limits,
    kernel::Roots,
    loader::LoadError,
    model::{FeatureState, Lookup, LookupEvent, Measurements, OwnerId, OwnerKind, Transport},
    probes::Latency,
    session::{
        Enabled, FlowEvent, FlowFollower, FlowReport, FlowSettings, Plan, Session, StartError,
    },
};
use tests::{
    cgroup::Cgroup,
    skip::{skip, unless_available},
    wait::{LONG, poll},
};

/// A session with the probes of the network, and what its follower told so far.
pub(super) struct Network {
    pub(super) session: Session,
    pub(super) follower: FlowFollower,
    pub(super) flows: Vec<FlowReport>,
    pub(super) lookups: Vec<Lookup>,
}

impl Network {
    /// `None` after saying what this kernel or host lacks.
    pub(super) fn start(probes: &[&'static str]) -> Result<Option<Self>> {
        let plan = Plan {
            roots: Roots::default(),
            probes: probes.iter().map(|name| (*name, Enabled::Auto)).collect(),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            dns: true,
            flow_sampling: 1,
            flow_ignore: Vec::new(),
            rtt_interval: Duration::ZERO,
            kernel_memory: 16 << 20,
            max_owners: 1024,
            max_flows: probe_user::limits::FLOWS,
            max_connections: probe_user::limits::CONNECTIONS,
            limits: Limits::default(),
            debug: false,
        };
        let session = match Session::start(&plan) {
            Err(StartError::Nothing { source })
                if matches!(
                    *source,
                    LoadError::Unsupported(_) | LoadError::NoTracepoint(_)
                ) =>
            {
                skip("network", &source.to_string());
                return Ok(None);
            }
            other => other.context("attach the probes of the network")?,
        };
        for name in probes {
            let state = session.states().iter().find(|(known, _)| known == name);
            match state.map(|(_, state)| state) {
                Some(FeatureState::On | FeatureState::Degraded(_)) => {}
                Some(FeatureState::Unsupported(reason)) => {
                    skip(name, reason);
                    return Ok(None);
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        let settings = FlowSettings {
            sweep: Duration::from_millis(300),
            period: Duration::from_secs(1),
            idle: Duration::from_secs(3600),
            lookup_timeout: probe_user::flows::TIMEOUT,
        };
        let follower = FlowFollower::new(session.take_flow_readers(), settings, now())
            .with_drops(session.take_drops_reader());
        Ok(Some(Self {
            session,
            follower,
            flows: Vec::new(),
            lookups: Vec::new(),
        }))
    }

    pub(super) fn poll(&mut self) {
        let events = self.follower.poll(now());
        self.take(events);
    }

    pub(super) fn finish(&mut self) {
        let events = self.follower.finish(now());
        self.take(events);
    }

    fn take(&mut self, events: Vec<FlowEvent>) {
        for event in events {
            match event {
                FlowEvent::Flow(report) => self.flows.push(*report),
                FlowEvent::Lookup(LookupEvent::Ended(lookup)) => self.lookups.push(lookup),
                FlowEvent::Lookup(_) => {}
            }
        }
    }

    /// Polls until `done` says so, at most for long.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) -> Result<()> {
        poll(LONG, what, || {
            self.poll();
            done(self).then_some(())
        })
    }

    pub(super) fn ended(&self, cgroup: &Cgroup) -> Vec<&FlowReport> {
        let id = id(cgroup);
        self.flows
            .iter()
            .filter(|report| report.event == Event::End && report.flow.cgroup.0 == id)
            .collect()
    }

    /// Totals of the last report of each flow of a cgroup, and the sums of all intervals.
    pub(super) fn sums(&self, cgroup: &Cgroup, transport: Transport) -> Sums {
        let id = id(cgroup);
        let mut sums = Sums::default();
        let mut last = HashMap::new();
        for report in &self.flows {
            if report.flow.cgroup.0 != id || report.flow.tuple.transport != transport {
                continue;
            }
            sums.intervals.add(report.interval);
            last.insert((report.flow.id, report.flow.tuple), report.flow.counters);
        }
        sums.flows = last.len();
        last.values().for_each(|total| sums.totals.add(*total));
        sums
    }

    pub(super) fn lost(&self) -> Vec<String> {
        let measurements = self.session.measure();
        let lost = measurements.lost.iter().filter(|lost| lost.count > 0);
        lost.map(|lost| format!("{lost:?}")).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) flows: usize,
    pub(super) totals: probe_user::model::Counters,
    pub(super) intervals: probe_user::model::Counters,
}

pub(super) fn id(cgroup: &Cgroup) -> u64 {
    std::fs::metadata(cgroup.folder())
        .expect("the cgroup is there")
        .ino()
}

/// Monotonic time, as the kernel side reads it.
pub(super) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub(super) fn cgroups(names: [&str; 2]) -> Result<Option<[Cgroup; 2]>> {
    let Some(first) = unless_available("cgroup", Cgroup::new(names[0])) else {
        return Ok(None);
    };
    Ok(Some([first, Cgroup::new(names[1])?]))
}

pub(super) fn tcp_row(measurements: &Measurements, cgroup: &Cgroup) -> probe_common::tcp::Totals {
    let owner = OwnerId(id(cgroup));
    measurements
        .tcp
        .iter()
        .find(|row| row.owner == owner)
        .map_or(probe_common::tcp::Totals::ZERO, |row| row.totals)
}
