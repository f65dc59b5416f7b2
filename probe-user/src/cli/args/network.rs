//! Arguments of the tools that look at the network.

use clap::{Args, ValueEnum};

use super::CommonArgs;
use crate::{model::Transport, report::Cidr};

/// `nodeprobe flows`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe flows --duration 10s                      flows with the most bytes\n  \
    nodeprobe flows --container web --by peer           whom one container talks with\n  \
    nodeprobe flows --transport udp --port 53 -i 5s\n  \
    nodeprobe flows --cidr 10.0.0.0/8 -o ndjson         every flow as it begins and ends\n\n\
    Shows the first 50 rows unless `--limit` says another number, and the rest in one line.")]
pub struct FlowsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Rows
    #[arg(long, value_enum, default_value_t = FlowsBy::Flow)]
    pub by: FlowsBy,

    /// Only these transports: tcp, udp, icmp, icmpv6, sctp and so on, or a protocol number
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = transport)]
    pub transport: Vec<Transport>,

    /// Only flows with one of these ports at either end
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub port: Vec<u16>,

    /// Only flows with an address in one of these networks at either end
    #[arg(long, value_name = "NET", value_delimiter = ',')]
    pub cidr: Vec<Cidr>,
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
    nodeprobe tcp -d 5s -o ndjson | jq .failed")]
pub struct TcpArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// List the connections that are open at the end; without a duration after one second
    #[arg(long, conflicts_with = "interval")]
    pub connections: bool,
}

/// `nodeprobe dns`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe dns --duration 10s              who looks up which names\n  \
    nodeprobe dns --by server                 which servers answer, and how fast\n  \
    nodeprobe dns -o ndjson | jq 'select(.timeout)'")]
pub struct DnsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Rows
    #[arg(long, value_enum, default_value_t = DnsBy::Name)]
    pub by: DnsBy,
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

fn transport(text: &str) -> Result<Transport, String> {
    if let Ok(number) = text.parse() {
        return Ok(Transport(number));
    }
    (0..=u8::MAX)
        .map(Transport)
        .find(|transport| transport.name() == Some(text))
        .ok_or_else(|| "must be tcp, udp, icmp, icmpv6, sctp or a protocol number".into())
}
