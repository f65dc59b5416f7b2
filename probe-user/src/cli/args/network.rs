//! Arguments of the tools that look at the network.

use std::time::Duration;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::{CommonArgs, OfConnections, ProcessArgs, StrictArgs, values::time};
use crate::{
    model::Transport,
    render::view::{DnsOrder, FlowOrder, TcpOrder},
    select::{Ports, Rule, Rules, network},
};

/// Which flows are shown.
#[derive(Args, Clone, Debug, Default)]
pub struct NarrowArgs {
    /// Only flows with one of these ports at either end, such as 443 or 8000-8099; may be repeated
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub port: Vec<Ports>,

    /// Only flows with an address in one of these networks at either end; may be repeated
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub cidr: Vec<IpNet>,

    /// Only flows whose initiator is in one of these networks; may be repeated
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub src: Vec<IpNet>,

    /// Only flows whose responder is in one of these networks; may be repeated
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub dst: Vec<IpNet>,

    /// No flows that match this rule, such as `port=53 transport=udp`; may be repeated
    #[arg(long, value_name = "RULE")]
    pub exclude: Vec<Rule>,
}

impl NarrowArgs {
    /// What these arguments and those of the transport ask for.
    pub fn rules(&self, transports: &[Transport]) -> Rules {
        let only = Rule {
            networks: self.cidr.clone(),
            sources: self.src.clone(),
            destinations: self.dst.clone(),
            ports: self.port.clone(),
            transports: transports.to_vec(),
            ..Rule::default()
        };
        Rules {
            include: vec![only],
            exclude: self.exclude.clone(),
        }
    }
}

/// `nodeprobe flows`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe flows --duration 10s                      flows with the most bytes\n  \
    nodeprobe flows --container web --by peer           whom one container talks with\n  \
    nodeprobe flows --transport udp --port 53 -i 5s\n  \
    nodeprobe flows --follow --container web            flows as they begin and end\n  \
    nodeprobe flows --cidr 10.0.0.0/8 -o ndjson         the same for programs\n  \
    nodeprobe flows --exclude 'port=53 transport=udp' --exclude cidr=127.0.0.0/8\n\n\
    A table shows 50 rows and sums up the rest, unless --limit sets another number.")]
pub struct FlowsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Which processes.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// Whether filters must match.
    #[command(flatten)]
    pub strict: StrictArgs,

    /// Rows
    #[arg(long, value_enum, value_name = "ROWS", default_value_t = FlowsBy::Flow)]
    pub by: FlowsBy,

    /// Print a line when a flow begins, goes on or ends
    #[arg(short, long, conflicts_with_all = ["by", "interval", "every"])]
    pub follow: bool,

    /// Order of the rows, largest first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = FlowOrder::Bytes)]
    pub sort: FlowOrder,

    /// Only these transports: tcp, udp, icmp, icmpv6, sctp and so on, or a protocol number; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub transport: Vec<Transport>,

    /// Which flows.
    #[command(flatten)]
    pub narrow: NarrowArgs,
}

/// What rows of flows stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlowsBy {
    /// Flows
    Flow,
    /// Addresses that a container talks with, without ports
    Peer,
    /// Containers and parts of the host
    Container,
}

/// `nodeprobe tcp`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe tcp --duration 10s              attempts, failures, retransmissions, drops\n  \
    nodeprobe tcp --connections -c web        connections that are open now\n  \
    nodeprobe tcp --connections --port 5432 --dst 10.0.0.0/8\n  \
    nodeprobe tcp --follow -c web             connections as they begin, fail and end\n  \
    nodeprobe tcp -d 5s -o ndjson | jq .failed")]
pub struct TcpArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Whether filters must match.
    #[command(flatten)]
    pub strict: StrictArgs,

    /// List the connections that are open at the end; without a duration after one second
    #[arg(long, conflicts_with_all = ["interval", "every"], group = "single")]
    pub connections: bool,

    /// Print a line when a connection begins, goes on or ends, also when an attempt fails
    #[arg(short, long, conflicts_with_all = ["connections", "interval", "every"], group = "single")]
    pub follow: bool,

    /// Order of the rows, largest first
    #[arg(long, value_enum, value_name = "ORDER")]
    pub sort: Option<TcpOrder>,

    /// Which processes.
    #[command(flatten)]
    pub process: OfConnections<ProcessArgs>,

    /// Which connections.
    #[command(flatten)]
    pub narrow: OfConnections<NarrowArgs>,
}

/// `nodeprobe dns`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe dns --duration 10s              who looks up which names\n  \
    nodeprobe dns --by server                 which servers answer, and how fast\n  \
    nodeprobe dns --follow -c web             lookups as they are answered\n  \
    nodeprobe dns -o ndjson | jq 'select(.timeout)'")]
pub struct DnsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Whether filters must match.
    #[command(flatten)]
    pub strict: StrictArgs,

    /// Rows
    #[arg(long, value_enum, value_name = "ROWS", default_value_t = DnsBy::Name)]
    pub by: DnsBy,

    /// Print a line when a lookup is answered or times out
    #[arg(short, long, conflicts_with_all = ["by", "interval", "every"])]
    pub follow: bool,

    /// Order of the rows, largest first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = DnsOrder::Lookups)]
    pub sort: DnsOrder,

    /// How long a lookup waits before it counts as not answered
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5s")]
    pub timeout: Duration,

    /// Only lookups at servers in one of these networks; may be repeated
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub server: Vec<IpNet>,
}

/// What rows of look-ups stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DnsBy {
    /// Names that a container looks up
    Name,
    /// Containers and parts of the host
    Container,
    /// Servers that a container asks
    Server,
}
