//! The agent's configuration: what can be set, what was set, and what is wrong with it.
//!
//! [`KEYS`] is the one list from which parsing, help, the printed default configuration, the documentation and
//! reloading derive. The file is walked key by key and not by serde, which would stop at the first fault.

mod document;
mod error;
mod flows;
mod keys;
mod load;
mod reload;
mod runtimes;
mod value;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    limits,
    select::{CgroupPattern, Rule, Rules},
};

pub use self::{
    document::{print_default, reference},
    error::{ConfigError, Fault, Place},
    flows::{FlowFsync, FlowTarget},
    keys::{KEYS, Key, OnReload},
    load::{Sources, load},
    reload::{Reload, reload},
    runtimes::{Runtimes, SocketKind, socket_path},
};

/// The checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where `/metrics` and the health pages are served.
    pub listen: SocketAddr,
    /// Value of the `node` label. Empty only before loading, which fills in the host name.
    pub node: String,
    /// Whether messages from the programs in the kernel are logged.
    pub debug: bool,
    /// Whether the kernel is asked to count the run time of programs.
    pub program_stats: bool,
    /// Time between two collections.
    pub collect_interval: Duration,
    /// Logs.
    pub log: Log,
    /// What is measured.
    pub probes: Probes,
    /// Flows and their log.
    pub flows: Flows,
    /// Network policies that connections are judged by.
    pub policy: Policy,
    /// Names and policies of Kubernetes.
    pub kubernetes: Kubernetes,
    /// Bounds.
    pub limits: Limits,
    /// Where names come from.
    pub runtimes: Runtimes,
    /// Cgroups of the host that are told apart from the unit or directory that they are in.
    pub cgroups_split: Vec<CgroupPattern>,
}

/// Jobs of batch systems: Slurm, HTCondor, PBS, LSF.
const SPLIT: [&str; 7] = [
    "*slurmstepd.scope/job_*",
    "/slurm*/uid_*/job_*",
    "/htcondor/condor_*",
    "condor.service/condor_*",
    "/pbs_jobs*/jobid/*",
    "pbs*.service/jobid/*",
    "/lsf/*/job.*",
];

/// How the agent logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least severity that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// Switches of the probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probes {
    /// System calls.
    pub syscalls: Syscalls,
    /// Run queue, CPU time and context switches.
    pub scheduler: Enabled,
    /// Containers that come and go.
    pub lifecycle: Enabled,
    /// Datagrams by address pair, and name look-ups.
    pub flows: Enabled,
    /// Connections.
    pub tcp: Enabled,
    /// Dropped packets.
    pub drops: Enabled,
}

/// Flows and their log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flows {
    /// Whether name look-ups are followed.
    pub dns: bool,
    /// How long a name look-up waits before it counts as not answered.
    pub dns_timeout: Duration,
    /// One of how many flows is counted.
    pub sampling: u32,
    /// Flows that the kernel side does not follow.
    pub ignore: Vec<Rule>,
    /// Flows that are in the log.
    pub log_rules: Rules,
    /// Time between two readings of the tables.
    pub sweep: Duration,
    /// Time between two records of a flow that goes on.
    pub period: Duration,
    /// Time without a packet after which a flow of datagrams ends.
    pub idle: Duration,
    /// Whose connection tracking is asked.
    pub translation: FlowTranslation,
    /// Where records go.
    pub log: FlowTarget,
    /// Size of a file at which it is put aside, in bytes.
    pub log_size: u64,
    /// Age of a file at which it is put aside.
    pub log_age: Duration,
    /// Files that are kept besides the current one.
    pub log_keep: u32,
    /// Whether these are compressed.
    pub log_compress: bool,
    /// When files are brought to the disk.
    pub log_fsync: FlowFsync,
}

/// Network policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The manifests in force; `None` for none.
    pub manifests: Option<PathBuf>,
    /// Policies that are to be in force instead.
    pub pending: Option<PathBuf>,
    /// Namespace of objects that name none.
    pub namespace: String,
    /// Whether an `ipBlock` matches pods by their addresses.
    pub ipblock_pods: bool,
    /// What pods with the network of their node are.
    pub hostnetwork: PolicyHostNetwork,
    /// Time in which a change may not be in force everywhere.
    pub grace: Duration,
    /// Where audit events go.
    pub log: FlowTarget,
}

/// Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    /// Whose pods are named by the API server.
    pub names: KubernetesNames,
    /// How to reach the API server; `None` for the service account of our own pod.
    pub kubeconfig: Option<PathBuf>,
    /// Whether its policies are what connections are judged by.
    pub policies: bool,
    /// Whether enforcement gaps are written as Events.
    pub events: bool,
    /// Labels of pods that are exported.
    pub labels: Vec<String>,
    /// Annotations of pods that are exported.
    pub annotations: Vec<String>,
}

/// The system call probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syscalls {
    /// Whether it runs.
    pub enabled: Enabled,
    /// Which calls are timed.
    pub latency: Latency,
    /// One of how many is timed when `latency` is [`Latency::Sampled`].
    pub sample: u32,
    /// Whether there is a latency histogram per system call, beside the one per container.
    pub per_syscall_latency: bool,
}

/// Bounds; see [`limits`] for the reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Kernel memory of all maps, in bytes.
    pub kernel_memory: u64,
    /// Containers that are counted apart.
    pub owners: u32,
    /// Flows of datagrams at a time.
    pub flows: u32,
    /// TCP connections at a time.
    pub connections: u32,
    /// Series on `/metrics` in all.
    pub series: u32,
    /// Series of single families, by name.
    pub series_per_family: BTreeMap<String, u32>,
    /// For how long the series of a removed container stay.
    pub retain: Duration,
    /// For how long a container may stay without a name.
    pub naming_deadline: Duration,
}

/// A value that is one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// All values with their words.
            pub const WORDS: &[(&str, Self)] = &[$(($word, Self::$variant)),+];

            /// The word in the configuration.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// Whether a probe runs.
    Enabled {
        /// If the kernel can; else it is reported and skipped.
        Auto = "auto",
        /// Always: the agent does not start without it.
        Always = "always",
        /// Never.
        Never = "never",
    }
}

words! {
    /// Which system calls are timed.
    Latency {
        /// None; calls and errors are counted at the least cost.
        Off = "off",
        /// One in a number.
        Sampled = "sampled",
        /// All.
        Exact = "exact",
    }
}

words! {
    /// Whose connection tracking is asked for translated addresses.
    FlowTranslation {
        /// The host's, where there is a flow log or policies are judged.
        Auto = "auto",
        /// The host's.
        Host = "host",
        /// That of the socket's network namespace, and the host's.
        All = "all",
        /// Nobody's.
        Off = "off",
    }
}

words! {
    /// What pods with the network of their node are to policies.
    PolicyHostNetwork {
        /// As their node is.
        Ignore = "ignore",
        /// Pods as any other.
        Distinguish = "distinguish",
    }
}

words! {
    /// Whose pods are named by the API server.
    KubernetesNames {
        /// Those of this node where we are a pod ourselves, of the cluster where policies are judged; else nobody's.
        Auto = "auto",
        /// Nobody's: names come from the runtimes alone.
        Off = "off",
        /// Those of this node.
        Node = "node",
        /// Those of the cluster, with its services.
        Cluster = "cluster",
    }
}

words! {
    /// Severity of a log line.
    LogLevel {
        /// Data is lost or a person must act.
        Error = "error",
        /// Something works with less.
        Warn = "warn",
        /// Start, stop and changes of state.
        Info = "info",
        /// Once per collection.
        Debug = "debug",
        /// Once per record.
        Trace = "trace",
    }
}

words! {
    /// How a log line looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

impl Config {
    /// Whether connections are judged by policies.
    pub fn judges(&self) -> bool {
        self.policy.manifests.is_some() || self.kubernetes.policies
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9435)),
            node: String::new(),
            debug: false,
            program_stats: false,
            collect_interval: limits::COLLECT_INTERVAL,
            log: Log {
                level: LogLevel::Info,
                format: LogFormat::Text,
            },
            probes: Probes {
                syscalls: Syscalls {
                    enabled: Enabled::Auto,
                    latency: Latency::Sampled,
                    sample: limits::LATENCY_SAMPLE,
                    per_syscall_latency: false,
                },
                scheduler: Enabled::Auto,
                lifecycle: Enabled::Auto,
                flows: Enabled::Auto,
                tcp: Enabled::Auto,
                drops: Enabled::Auto,
            },
            flows: Flows {
                dns: true,
                dns_timeout: limits::DNS_TIMEOUT,
                sampling: 1,
                ignore: Vec::new(),
                log_rules: Rules::default(),
                sweep: limits::FLOW_SWEEP,
                period: limits::FLOW_PERIOD,
                idle: limits::FLOW_IDLE,
                translation: FlowTranslation::Auto,
                log: FlowTarget::Off,
                log_size: limits::SEGMENT_SIZE,
                log_age: limits::SEGMENT_AGE,
                log_keep: limits::SEGMENTS,
                log_compress: true,
                log_fsync: FlowFsync::Rotation,
            },
            policy: Policy {
                manifests: None,
                pending: None,
                namespace: "default".to_owned(),
                ipblock_pods: true,
                hostnetwork: PolicyHostNetwork::Ignore,
                grace: limits::POLICY_GRACE,
                log: FlowTarget::Off,
            },
            kubernetes: Kubernetes {
                names: KubernetesNames::Auto,
                kubeconfig: None,
                policies: false,
                events: false,
                labels: Vec::new(),
                annotations: Vec::new(),
            },
            limits: Limits {
                kernel_memory: limits::KERNEL_MEMORY,
                owners: limits::OWNERS,
                flows: limits::FLOWS,
                connections: limits::CONNECTIONS,
                series: limits::SERIES,
                series_per_family: BTreeMap::new(),
                retain: limits::RETAIN,
                naming_deadline: limits::NAMING_DEADLINE,
            },
            runtimes: Runtimes::default(),
            cgroups_split: SPLIT.iter().filter_map(|text| text.parse().ok()).collect(),
        }
    }
}
