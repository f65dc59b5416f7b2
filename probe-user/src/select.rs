//! Which containers and flows an operator means: conditions as they stand on the command line and in the configuration.

mod cgroup;
mod network;
mod pattern;
mod ports;
mod rule;
mod rules;

pub use self::{
    cgroup::CgroupPattern, network::network, pattern::Pattern, ports::Ports, rule::Rule,
    rules::Rules,
};
