//! Arguments of the commands.

mod address;
mod agent;
mod common;
mod connections;
mod containers;
mod network;
mod policy;
mod runtimes;
mod tools;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

pub(crate) use self::agent::environment;
pub use self::{
    address::AgentAddress,
    agent::AgentArgs,
    common::{CommonArgs, OutputFormat, ProcessArgs, StrictArgs},
    connections::OfConnections,
    containers::ContainersArgs,
    network::{DnsArgs, DnsBy, FlowsArgs, FlowsBy, NarrowArgs, TcpArgs},
    policy::{
        Allowed, Ask, AuditArgs, CheckArgs, CheckFormat, ExplainArgs, HostNetwork, ManifestArgs,
        PolicyCommand, PolicyFormat, ReplayArgs, SuggestArgs,
    },
    runtimes::{RuntimeArgs, SocketArgs},
    tools::{By, OffcpuArgs, RunqlatArgs, SchedBy, SyscallsArgs},
};

/// `nodeprobe metrics`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe metrics --address 127.0.0.1:9435         of a running agent\n  \
    nodeprobe metrics --address http://node-7:9435/metrics\n  \
    nodeprobe metrics --duration 5s -o json            measure here for five seconds")]
pub struct MetricsArgs {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = MetricsFormat::Openmetrics)]
    pub output: MetricsFormat,

    /// Agent to query: HOST, HOST:PORT or URL [default: none; attach the probes, measure for a while and print]
    #[arg(short, long, value_name = "ADDR:PORT", value_parser = AgentAddress::parse)]
    pub address: Option<AgentAddress>,

    /// How long to measure without an agent [default: 10s]
    #[arg(short, long, value_name = "TIME", value_parser = values::time, conflicts_with = "address")]
    pub duration: Option<Duration>,

    /// Where the runtimes are.
    #[command(flatten)]
    pub runtimes: RuntimeArgs,
}

/// Formats of `nodeprobe metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsFormat {
    /// OpenMetrics text 1.0
    Openmetrics,
    /// Prometheus text 0.0.4
    Prometheus,
    /// One JSON object
    Json,
}

/// `nodeprobe doctor`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Ends with 0 when all enabled probes can work, with 3 when one cannot.\n\n\
    Examples:\n  \
    nodeprobe doctor\n  \
    nodeprobe doctor -o json | jq '.checks[] | select(.state != \"ok\")'"
)]
pub struct DoctorArgs {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DoctorFormat::Table)]
    pub output: DoctorFormat,

    /// Configuration whose probes and runtimes are looked at
    #[arg(long, value_name = "FILE", env = "NODEPROBE_CONFIG")]
    pub config: Option<PathBuf>,

    /// Where the runtimes are.
    #[command(flatten)]
    pub runtimes: SocketArgs,
}

/// Formats of `nodeprobe doctor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people
    Table,
    /// One JSON object
    Json,
}
