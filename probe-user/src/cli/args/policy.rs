//! Arguments of `nodeprobe policy`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use probe_policy::model::Protocol;

use super::{CommonArgs, values::time_or_zero};
use crate::render::view::AuditOrder;

/// Commands of `nodeprobe policy`. All but one need neither privileges nor a cluster: they read files.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Judge the connections of this host as they are made, and see whether the network does what policies say
    Audit(AuditArgs),
    /// Explain what policies say of a connection, and by which rule
    Explain(ExplainArgs),
    /// Judge the connections of a flow log, and what proposed policies would change
    Replay(ReplayArgs),
    /// Look for what is doubtful about policies, show who may talk with whom, and compare that with what is expected
    Check(CheckArgs),
    /// Write policies that allow the connections of a flow log and nothing else
    Suggest(SuggestArgs),
}

/// `nodeprobe policy audit`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "A gap is a connection that policies deny and that was made; a breakage one that they allow and that something dropped. Ends \
    with 4 if there was one of either. Manifests are read again when their files change.\n\n\
    Outside Kubernetes a container is the pod with its name, or the one whose annotation nodeprobe.io/container or \
    nodeprobe.io/cgroup says so.\n\n\
    Examples:\n  \
    nodeprobe policy audit --manifests k8s/ --duration 1m\n  \
    nodeprobe policy audit --manifests k8s/ --pending proposed/    what proposed policies would change\n  \
    nodeprobe policy audit --manifests k8s/ -o ndjson              every connection, as it is judged"
)]
pub struct AuditArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Order of the rows
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = AuditOrder::Findings)]
    pub sort: AuditOrder,

    /// What the host or cluster is made of
    #[command(flatten)]
    pub manifests: ManifestArgs,

    /// Policies that are to be in force instead: what would they change?
    #[arg(long, value_name = "PATH")]
    pub pending: Option<PathBuf>,

    /// Time after a change of the manifests in which what contradicts them is no gap
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time_or_zero)]
    pub grace: Duration,
}

/// `nodeprobe policy explain`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Ends with 0 if the connection may pass, with 4 if it may not or that is not certain. With --queries it ends \
    with 0 when all are answered.\n\n\
    Examples:\n  \
    nodeprobe policy explain --manifests k8s/ --from shop/web --to db/pg-0 --port 5432\n  \
    nodeprobe policy explain --manifests k8s/ --from shop/web --to 203.0.113.7 --port 443 -o json\n  \
    nodeprobe policy explain --manifests k8s/ --queries questions.ndjson"
)]
pub struct ExplainArgs {
    /// What the cluster is made of
    #[command(flatten)]
    pub manifests: ManifestArgs,

    /// One question
    #[command(flatten)]
    pub ask: Ask,

    /// Answer questions in lines of JSON, with `from`, `to`, `port` and `protocol`; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "from", conflicts_with_all = ["from", "to", "port", "protocol"])]
    pub queries: Option<PathBuf>,

    /// Format to print; answers to --queries are always lines of JSON
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = PolicyFormat::Table)]
    pub output: PolicyFormat,
}

/// One connection.
#[derive(Args, Clone, Debug)]
pub struct Ask {
    /// Who begins: a pod or workload, or an address
    #[arg(long, value_name = "NAMESPACE/NAME|ADDRESS", requires = "to")]
    pub from: Option<String>,

    /// Who is asked, in the same way
    #[arg(long, value_name = "NAMESPACE/NAME|ADDRESS", requires = "from")]
    pub to: Option<String>,

    /// Port of the destination; of a pod, its own and not that of a service [default: 0, which no rule names]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,

    /// TCP, UDP, SCTP, ICMP, ICMPv6, or a number [default: TCP]
    #[arg(long)]
    pub protocol: Option<Protocol>,
}

/// What a cluster is made of, and how to read what the API leaves open.
#[derive(Args, Clone, Debug)]
pub struct ManifestArgs {
    /// Folder with YAML or JSON of pods, workloads, namespaces, services, nodes and policies, searched with all its folders; or one file
    #[arg(long, value_name = "PATH")]
    pub manifests: PathBuf,

    /// Namespace of objects that name none
    #[arg(long, value_name = "NAME", default_value = probe_policy::load::DEFAULT_NAMESPACE)]
    pub default_namespace: String,

    /// Whether pods with the network of their node are pods as any other
    #[arg(long, value_enum, default_value_t = HostNetwork::Ignore)]
    pub hostnetwork: HostNetwork,

    /// Whether ipBlock and networks match pods by their addresses: true or false
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub ipblock_pods: bool,

    /// Refuse manifests in which an API server would refuse anything; `audit` also exits with status 4 if a filter matches nothing
    #[arg(long)]
    pub strict: bool,
}

/// What pods with the network of their node are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostNetwork {
    /// As their node is: no policy is about them, and no selector matches them
    Ignore,
    /// Pods as any other
    Distinguish,
}

/// `nodeprobe policy replay`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Ends with 4 if --proposed would change the verdict of a recorded connection, or, without it, if one would be \
    denied; else with 0.\n\n\
    Examples:\n  \
    nodeprobe policy replay --manifests k8s/ --flows flows.ndjson\n  \
    nodeprobe policy replay --manifests k8s/ --proposed k8s-next/ --flows flows.ndjson flows.1.ndjson.gz\n  \
    nodeprobe policy replay --manifests k8s/ --flows - -o ndjson < flows.ndjson"
)]
pub struct ReplayArgs {
    /// What the cluster is made of
    #[command(flatten)]
    pub manifests: ManifestArgs,

    /// Flow logs, plain or compressed; `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub flows: Vec<PathBuf>,

    /// Folder with policies that would take the place of those in --manifests
    #[arg(long, value_name = "PATH")]
    pub proposed: Option<PathBuf>,

    /// Format to print: what differs or is denied in a table, all in one object, or one verdict a line
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = PolicyFormat::Table)]
    pub output: PolicyFormat,
}

/// `nodeprobe policy check`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Ends with 4 if something is doubtful or not as expected, which fails a build that checks a repository of manifests.\n\n\
    A line of --expect is {\"from\": \"shop/web\", \"to\": \"db/pg-0\", \"port\": 5432, \"protocol\": \"TCP\", \"allowed\": true}.\n\n\
    Examples:\n  \
    nodeprobe policy check --manifests k8s/\n  \
    nodeprobe policy check --manifests k8s/ --expect expected.ndjson --allow not-isolated\n  \
    nodeprobe policy check --manifests k8s/ -o dot | dot -Tsvg > reach.svg"
)]
pub struct CheckArgs {
    /// What the cluster is made of
    #[command(flatten)]
    pub manifests: ManifestArgs,

    /// Lines of JSON with connections and whether they have to be allowed; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,

    /// Flow logs: rules that none of their connections has to do with are doubtful
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub flows: Vec<PathBuf>,

    /// Kinds of doubts that are told and do not make the check fail
    #[arg(long, value_name = "DOUBT", value_enum, value_delimiter = ',')]
    pub allow: Vec<Allowed>,

    /// Format to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = CheckFormat::Table)]
    pub output: CheckFormat,
}

/// Kinds of doubts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Allowed {
    /// An API server would refuse the policy
    Invalid,
    /// The policy is about no pod
    SelectsNothing,
    /// A peer of a rule matches no pod
    PeerMatchesNothing,
    /// Whatever a rule allows, another one allows as well
    Redundant,
    /// Whatever a rule of a cluster-wide policy matches, something before it decides
    Shadowed,
    /// Cluster-wide policies of one priority are about the same pods
    SamePriority,
    /// Workloads of a namespace are isolated by no policy
    NotIsolated,
    /// No recorded connection has to do with the rule
    Unused,
}

/// `nodeprobe policy suggest`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Policies go to standard output. Policies in --manifests are not looked at, only pods, workloads, namespaces, services \
    and nodes. What has not happened while the log was written is not allowed: judge another log with `nodeprobe policy replay \
    --proposed` before you apply them.\n\n\
    Examples:\n  \
    nodeprobe policy suggest --manifests k8s/ --flows flows.ndjson > suggested.yaml\n  \
    nodeprobe policy suggest --manifests k8s/ --flows flows.ndjson --namespace shop"
)]
pub struct SuggestArgs {
    /// What the cluster is made of
    #[command(flatten)]
    pub manifests: ManifestArgs,

    /// Flow logs, plain or compressed; `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub flows: Vec<PathBuf>,

    /// Only policies of this namespace
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// Formats of `nodeprobe policy check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people: what is doubtful, and who may talk with whom
    Table,
    /// One JSON object
    Json,
    /// Who may talk with whom as a graph of Graphviz
    Dot,
    /// The same as a picture
    Svg,
}

/// Formats of `nodeprobe policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyFormat {
    /// For people
    Table,
    /// One JSON object
    Json,
    /// One JSON object a line
    Ndjson,
}
