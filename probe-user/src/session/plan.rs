//! A plan from the agent's configuration.

use std::collections::HashMap;

use super::{Enabled, HOLD, Plan};
use crate::{
    config::{self, Config},
    identity::Limits,
    kernel::Roots,
    limits,
    model::OwnerKind,
    probes::Latency,
};

impl From<&Config> for Plan {
    fn from(config: &Config) -> Self {
        let probes = &config.probes;
        Self {
            roots: Roots::default(),
            probes: HashMap::from([
                ("lifecycle", probes.lifecycle.into()),
                ("syscalls", probes.syscalls.enabled.into()),
                ("scheduler", probes.scheduler.into()),
                ("flows", probes.flows.into()),
                ("tcp", probes.tcp.into()),
                ("drops", probes.drops.into()),
            ]),
            owners: OwnerKind::Cgroup,
            latency: match probes.syscalls.latency {
                config::Latency::Off => Latency::Off,
                config::Latency::Sampled => Latency::Sampled(probes.syscalls.sample),
                config::Latency::Exact => Latency::Exact,
            },
            kernel_memory: config.limits.kernel_memory,
            max_owners: config.limits.owners,
            limits: Limits {
                deadline: config.limits.naming_deadline,
                // Longer than counters are held, whose owner must still be known when they are freed.
                retention: config.limits.retain.max(2 * HOLD),
                ..Limits::default()
            },
            dns: config.flows.dns,
            flow_sampling: config.flows.sampling,
            flow_ignore: config.flows.ignore.clone(),
            rtt_interval: limits::RTT_INTERVAL,
            max_flows: config.limits.flows,
            max_connections: config.limits.connections,
            debug: config.debug,
        }
    }
}

impl From<config::Enabled> for Enabled {
    fn from(enabled: config::Enabled) -> Self {
        match enabled {
            config::Enabled::Auto => Self::Auto,
            config::Enabled::Always => Self::Always,
            config::Enabled::Never => Self::Never,
        }
    }
}
