//! Arguments of the tools that look at the network.

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::CommonArgs;
use crate::{
    model::Transport,
    select::{Ports, Rule, Rules, network},
};

/// Which flows are shown.
#[derive(Args, Clone, Debug, Default)]
pub struct NarrowArgs {
    /// Only flows with one of these ports at either end, such as 443 or 8000-8099
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub port: Vec<Ports>,

    /// Only flows with an address in one of these networks at either end
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub cidr: Vec<IpNet>,

    /// Only flows that began in one of these networks
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub src: Vec<IpNet>,

    /// Only flows that began towards one of these networks
    #[arg(long, value_name = "NET", value_delimiter = ',', value_parser = network)]
    pub dst: Vec<IpNet>,

    /// Not the flows that meet a rule of the flow log, such as `port=53 transport=udp`; may be repeated
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

    /// Whether something is left out.
    pub fn is_set(&self) -> bool {
        self.rules(&[]) != Self::default().rules(&[])
    }
}

/// `nodeprobe flows`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe flows --duration 10s                      flows with the most bytes\n  \
    nodeprobe flows --container web --by peer           whom one container talks with\n  \
    nodeprobe flows --transport udp --port 53 -i 5s\n  \
    nodeprobe flows --cidr 10.0.0.0/8 -o ndjson         every flow as it begins and ends\n  \
    nodeprobe flows --exclude 'port=53 transport=udp' --exclude cidr=127.0.0.0/8\n\n\
    Shows the first 50 rows unless `--limit` says another number, and the rest in one line.")]
pub struct FlowsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Rows
    #[arg(long, value_enum, default_value_t = FlowsBy::Flow)]
    pub by: FlowsBy,

    /// Only these transports: tcp, udp, icmp, icmpv6, sctp and so on, or a protocol number
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
    nodeprobe tcp -d 5s -o ndjson | jq .failed")]
pub struct TcpArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// List the connections that are open at the end; without a duration after one second
    #[arg(long, conflicts_with = "interval")]
    pub connections: bool,

    /// Which of these.
    #[command(flatten)]
    pub narrow: NarrowArgs,
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

    /// Only look-ups at servers in one of these networks
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
