//! The list of all keys: what each means, what it allows and how it is read and shown.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    Config, Enabled, FlowFsync, FlowTarget, FlowTranslation, KubernetesNames, Latency, LogFormat,
    LogLevel, PolicyHostNetwork, flows,
    value::{Value, duration_text, size_text},
};
use crate::{
    limits,
    metrics::families,
    select::{CgroupPattern, Rule},
};

/// What happens to a changed key on SIGHUP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReload {
    /// It is applied.
    Applied,
    /// It needs a restart.
    Restart,
}

/// One key of the configuration.
pub struct Key {
    /// Its place, `limits.series`.
    pub path: &'static str,
    /// What it does, in one or more sentences.
    pub help: &'static str,
    /// Values that it takes.
    pub allowed: &'static str,
    /// What SIGHUP does with it.
    pub on_reload: OnReload,
    pub(super) set: fn(&mut Config, &Value<'_>) -> Result<(), String>,
    /// The value as it is written in a file.
    pub(super) show: fn(&Config) -> String,
    pub(super) copy: fn(&mut Config, &Config),
}

impl Key {
    /// The variable that sets it: `NODEPROBE_LIMITS_SERIES`.
    pub fn variable(&self) -> String {
        format!("NODEPROBE_{}", self.path.replace('.', "_").to_uppercase())
    }
}

/// Rows of: path, field, what SIGHUP does, how it is read and shown, allowed values, help.
macro_rules! keys {
    ($(
        $path:literal ($($field:ident).+, $reload:ident)
            read $read:expr; show $show:expr;
            $allowed:literal
            $help:literal
    )+) => {
        /// All keys, in the order of the printed configuration: those without a section first.
        pub const KEYS: &[Key] = &[$(Key {
            path: $path,
            help: $help,
            allowed: $allowed,
            on_reload: OnReload::$reload,
            set: |config, value| {
                let read: fn(&Value<'_>) -> Result<_, String> = $read;
                config.$($field).+ = read(value)?;
                Ok(())
            },
            show: |config| {
                let show: fn(&_) -> String = $show;
                show(&config.$($field).+)
            },
            copy: |to, from| to.$($field).+.clone_from(&from.$($field).+),
        }),+];
    };
}

keys! {
    "listen" (listen, Restart)
        read |v| v.listen(); show quoted;
        "an IP address and a port, `localhost:9435`, or `:9435` for all IPv4 addresses"
        "Where /metrics, /healthz and /readyz are served. Port 0 takes any free port, which the log names."
    "node" (node, Restart)
        read |v| v.text(); show quoted;
        "a text; empty for the host name"
        "Value of the `node` label."
    "debug" (debug, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Log messages from the programs in the kernel. Costs time in the programs."
    "program_stats" (program_stats, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Have the kernel count the run time of every BPF program on the host, ours and others. \
         Costs some time in each run of each of them."
    "collect_interval" (collect_interval, Applied)
        read |v| v.duration(limits::COLLECT_INTERVAL_MIN..=limits::COLLECT_INTERVAL_MAX); show time;
        "a duration from 100ms to 1h"
        "Time between two collections. A scrape always collects; this bounds the age of \
         everything else."
    "log.level" (log.level, Applied)
        read |v| v.word(LogLevel::WORDS); show quoted;
        "error, warn, info, debug or trace"
        "Least severity that is logged. RUST_LOG, where set, is used instead: a level, or levels of parts of the program as log lines name them, such as `info,http=debug`."
    "log.format" (log.format, Restart)
        read |v| v.word(LogFormat::WORDS); show quoted;
        "text or json"
        "How a log line looks: for people, or one JSON object a line."
    "probes.syscalls.enabled" (probes.syscalls.enabled, Restart)
        read enabled; show quoted;
        "auto, always or never"
        "Count system calls and their errors per container. auto: if the kernel can; always: or \
         the agent does not start."
    "probes.syscalls.latency" (probes.syscalls.latency, Restart)
        read |v| v.word(Latency::WORDS); show quoted;
        "off, sampled or exact"
        "Which calls are timed: none, which is the cheapest; one in `sample`; or all."
    "probes.syscalls.sample" (probes.syscalls.sample, Restart)
        read |v| v.integer(1..=limits::LATENCY_SAMPLE_MAX); show plain;
        "a whole number from 1 to 1048576"
        "One of how many calls is timed when `latency` is \"sampled\"."
    "probes.syscalls.per_syscall_latency" (probes.syscalls.per_syscall_latency, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "A latency histogram for each system call of a container, beside the one for all its \
         calls. Takes many series."
    "probes.scheduler.enabled" (probes.scheduler, Restart)
        read enabled; show quoted;
        "auto, always or never"
        "Measure waits for a CPU, time on and off the CPU, context switches and preemptions per \
         container."
    "probes.lifecycle.enabled" (probes.lifecycle, Restart)
        read enabled; show quoted;
        "auto, always or never"
        "See containers come and go at once. Without it they are found at each collection, and \
         short-lived ones may stay unnamed."
    "probes.flows.enabled" (probes.flows, Restart)
        read enabled; show quoted;
        "auto, always or never"
        "Count datagrams of every socket by address pair, and follow name look-ups. Needs cgroup v2."
    "probes.tcp.enabled" (probes.tcp, Restart)
        read enabled; show quoted;
        "auto, always or never"
        "Follow TCP connections: handshakes, failures, retransmissions, resets, round-trip times \
         and ends."
    "probes.drops.enabled" (probes.drops, Restart)
        read enabled; show quoted;
        "auto, always or never"
        "Count packets that the kernel drops, by its reason. Needs Linux 5.17."
    "flows.dns" (flows.dns, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Follow name look-ups at port 53: counts and durations per container, and names of \
         addresses in the flow log."
    "flows.dns_timeout" (flows.dns_timeout, Restart)
        read |v| v.duration(limits::DNS_TIMEOUT_MIN..=limits::DNS_TIMEOUT_MAX); show time;
        "a duration from 1s to 1m"
        "Time without an answer after which a name look-up has failed, and counts with the response code ~timeout. \
         Resolvers of glibc and musl ask again after 5 s."
    "flows.sampling" (flows.sampling, Restart)
        read |v| v.integer(1..=limits::FLOW_SAMPLING_MAX); show plain;
        "a whole number from 1 to 65536"
        "One of how many flows is counted; the others are in no record and no metric of flows. Both ends \
         of a flow are counted or neither, where nothing translates their addresses. Numbers are never scaled. \
         What connections come to (nodeprobe_tcp_...) and name look-ups are counted all the same."
    "flows.ignore" (flows.ignore, Restart)
        read flows::ignored; show rules;
        "a list of rules on cidr, port and transport; in a variable with semicolons in between"
        "Flows that the kernel does not follow at all, as [\"cidr=127.0.0.0/8\", \"transport=udp port=53,5353\"]: they \
         take no room in its tables, and are in no record and no metric of flows. What connections come to \
         (nodeprobe_tcp_...) and name look-ups are counted all the same."
    "flows.include" (flows.log_rules.include, Applied)
        read flows::rules; show rules;
        "a list of rules; in a variable with semicolons in between; empty for all flows"
        "Flows that are in the flow log: those that meet one of these rules. A rule has conditions, all of which must be \
         met: cidr, src, dst, port, transport, namespace, container, as [\"namespace=shop transport=tcp port=443,8000-8099\"]. \
         Metrics have all flows."
    "flows.exclude" (flows.log_rules.exclude, Applied)
        read flows::rules; show rules;
        "a list of rules; in a variable with semicolons in between"
        "Flows that are not in the flow log, even where `include` names them, as [\"container=monitor\", \"cidr=10.96.0.0/12 port=53\"]. \
         Metrics have them."
    "flows.sweep" (flows.sweep, Restart)
        read |v| v.duration(limits::FLOW_SWEEP_MIN..=limits::FLOW_SWEEP_MAX); show time;
        "a duration from 1s to 1m"
        "Time between two readings of the tables of flows and connections."
    "flows.period" (flows.period, Restart)
        read |v| v.duration(limits::FLOW_PERIOD_MIN..=limits::FLOW_PERIOD_MAX); show time;
        "a duration from 1s to 1h"
        "Time between two records of a flow that goes on. Metrics learn of its bytes then."
    "flows.idle" (flows.idle, Restart)
        read |v| v.duration(limits::FLOW_PERIOD_MIN..=limits::FLOW_PERIOD_MAX); show time;
        "a duration from 1s to 1h"
        "Time without a packet after which a flow of datagrams has ended."
    "flows.translation" (flows.translation, Restart)
        read |v| v.word(FlowTranslation::WORDS); show quoted;
        "auto, host, all or off"
        "Whose connection tracking is asked for what is behind a translated address: the host's; that \
         of the socket's network namespace as well; or nobody's. auto: the host's, where there is a flow \
         log or policies are judged. A thread keeps CAP_NET_ADMIN for it, and CAP_SYS_ADMIN and CAP_SYS_PTRACE for all."
    "flows.log" (flows.log, Restart)
        read FlowTarget::read; show quoted;
        "off, - for standard output, or a path"
        "Where records of flows go, one JSON object a line; docs/flow-log.md describes them. SIGHUP \
         opens the file anew. Its directory must belong to the user of the agent."
    "flows.log_size" (flows.log_size, Restart)
        read |v| v.size(limits::SEGMENT_SIZE_MIN..=limits::SEGMENT_SIZE_MAX);
        show |size: &u64| quoted(&size_text(*size));
        "a size from 64KiB to 1024GiB"
        "Size at which a file of the flow log is put aside."
    "flows.log_age" (flows.log_age, Restart)
        read |v| v.duration(limits::SEGMENT_AGE_MIN..=limits::SEGMENT_AGE_MAX); show time;
        "a duration from 1s to 30days"
        "Age at which a file of the flow log is put aside."
    "flows.log_keep" (flows.log_keep, Restart)
        read |v| v.integer(0..=limits::SEGMENTS_MAX); show plain;
        "a whole number from 0 to 100000"
        "Files of the flow log that are kept besides the current one."
    "flows.log_compress" (flows.log_compress, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Compress the files of the flow log that were put aside."
    "flows.log_fsync" (flows.log_fsync, Restart)
        read FlowFsync::read; show quoted;
        "never, rotation, or a duration from 100ms to 1h"
        "When the flow log is brought to the disk: when the kernel likes; when a file is put aside \
         and at the end; or also so long after a record was written."
    "policy.manifests" (policy.manifests, Restart)
        read path; show maybe;
        "off, or the path of a file or folder"
        "Network policies that connections are judged by, with the pods, namespaces, services and nodes that they are about, \
         as YAML or JSON; docs/policy.md says what they mean. They are read again when a file changes."
    "policy.pending" (policy.pending, Restart)
        read path; show maybe;
        "off, or the path of a file or folder"
        "Policies that are to be in force instead: audit events and metrics say what they would change. Without it those \
         whose annotation or label nodeprobe.io/pending is \"true\"."
    "policy.namespace" (policy.namespace, Restart)
        read |v| v.text(); show quoted;
        "a text"
        "Namespace of objects in the manifests that name none."
    "policy.ipblock_pods" (policy.ipblock_pods, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Whether an ipBlock matches pods by their addresses, which network plug-ins see in different ways."
    "policy.hostnetwork" (policy.hostnetwork, Restart)
        read |v| v.word(PolicyHostNetwork::WORDS); show quoted;
        "ignore or distinguish"
        "What pods with the network of their node are: as their node is, so that no policy is about them; or pods as any other."
    "policy.grace" (policy.grace, Restart)
        read |v| v.duration(Duration::ZERO..=limits::POLICY_GRACE_MAX); show time;
        "a duration from 0s to 10m"
        "Time after a change of policies in which a connection that contradicts them raises no alarm."
    "policy.log" (policy.log, Restart)
        read FlowTarget::read; show quoted;
        "off, - for standard output, or a path"
        "Where audit events go, one JSON object a line; docs/policy.md describes them. Sizes, ages and numbers of files are those \
         of the flow log."
    "kubernetes.names" (kubernetes.names, Restart)
        read |v| v.word(KubernetesNames::WORDS); show quoted;
        "auto, off, node or cluster"
        "Whose pods the API server is asked for, besides the runtimes. node: those of this node; cluster: those of all nodes, with \
         services, so that both ends of a flow have names; auto: node in a pod, cluster where policies are judged, off elsewhere. \
         `node` has to be the name of the node in the cluster."
    "kubernetes.kubeconfig" (kubernetes.kubeconfig, Restart)
        read path; show maybe;
        "off, or the path of a file"
        "How to reach the API server; off for the service account of our own pod."
    "kubernetes.policies" (kubernetes.policies, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Judge connections by the network policies of the cluster. Not together with policy.manifests."
    "kubernetes.events" (kubernetes.events, Restart)
        read |v| v.boolean(); show plain;
        "true or false"
        "Write enforcement gaps as Events of the pod as well, at most one in five minutes for a pod and policy, and 30 a minute in all."
    "kubernetes.labels" (kubernetes.labels, Restart)
        read |v| label_keys(v); show quoted_list;
        "a list of at most 16 keys of labels"
        "Labels of pods that are exported as nodeprobe_pod_label_info."
    "kubernetes.annotations" (kubernetes.annotations, Restart)
        read |v| label_keys(v); show quoted_list;
        "a list of at most 16 keys of annotations"
        "Annotations of pods that are exported as nodeprobe_pod_label_info."
    "limits.kernel_memory" (limits.kernel_memory, Restart)
        read |v| v.size(limits::KERNEL_MEMORY_MIN..=limits::KERNEL_MEMORY_MAX);
        show |size: &u64| quoted(&size_text(*size));
        "a size from 4MiB to 16GiB"
        "Kernel memory for counters and histograms. What finds no room is counted in shared \
         overflow entries."
    "limits.owners" (limits.owners, Restart)
        read |v| v.integer(1..=limits::OWNERS_MAX); show plain;
        "a whole number from 1 to 65535"
        "Containers and parts of the host that are counted apart."
    "limits.flows" (limits.flows, Restart)
        read |v| v.integer(1024..=limits::FLOWS_MAX); show plain;
        "a whole number from 1024 to 4194304"
        "Flows of datagrams at a time, of some 185 bytes each. What finds no room is counted per container."
    "limits.connections" (limits.connections, Restart)
        read |v| v.integer(1024..=limits::FLOWS_MAX); show plain;
        "a whole number from 1024 to 4194304"
        "TCP connections at a time, of some 185 bytes each. Of others only the end is seen."
    "limits.series" (limits.series, Applied)
        read |v| v.integer(1..=limits::SERIES_MAX); show plain;
        "a whole number from 1 to 5000000"
        "Series on /metrics in all. How many containers have series, and with how much detail, follows from it. See docs/metrics.md, Budgets."
    "limits.series_per_family" (limits.series_per_family, Applied)
        read caps; show table;
        "a table of metric names and whole numbers"
        "Most series with detail in single families: { nodeprobe_syscalls_total = 5000 }. Each container keeps its `~other`; 0 folds all containers of a family together."
    "limits.retain" (limits.retain, Applied)
        read |v| v.duration(Duration::ZERO..=limits::RETAIN_MAX); show time;
        "a duration from 0s to 1day"
        "For how long the series of a removed container wait for a scrape. They stay for a minute in any case, or for this time if it is shorter."
    "limits.naming_deadline" (limits.naming_deadline, Applied)
        read |v| v.duration(Duration::ZERO..=limits::NAMING_DEADLINE_MAX); show time;
        "a duration from 0s to 1m"
        "For how long the runtime is waited for before a container gets its short id as its name."
    "runtimes.docker" (runtimes.docker, Restart)
        read |v| v.paths(); show list;
        "a list of absolute paths, in which * stands for any characters of a directory's name; empty to query none"
        "Sockets of dockerd. DOCKER_HOST adds one."
    "runtimes.containerd" (runtimes.containerd, Restart)
        read |v| v.paths(); show list;
        "a list of absolute paths, in which * stands for any characters of a directory's name; empty to query none"
        "Sockets of containerd, also those of k3s, k0s and microk8s. CONTAINERD_ADDRESS adds one."
    "runtimes.crio" (runtimes.crio, Restart)
        read |v| v.paths(); show list;
        "a list of absolute paths, in which * stands for any characters of a directory's name; empty to query none"
        "Sockets of CRI-O and of other runtimes that speak CRI. CONTAINER_RUNTIME_ENDPOINT adds one."
    "runtimes.podman" (runtimes.podman, Restart)
        read |v| v.paths(); show list;
        "a list of absolute paths, in which * stands for any characters of a directory's name; empty to query none"
        "Sockets of podman's service, where it runs. CONTAINER_HOST adds one."
    "runtimes.podman_storage" (runtimes.podman_storage, Restart)
        read |v| v.paths(); show list;
        "a list of absolute paths, in which * stands for any characters of a directory's name; empty to read none"
        "Directories where podman keeps its containers; read where it has no service."
    "cgroups.split" (cgroups_split, Applied)
        read |v| patterns(v); show |it: &Vec<CgroupPattern>| patterns_text(it);
        "a list of paths below the root of the hierarchy, in which * stands for any characters of a name; one that begins with / \
         begins at the root, others match at any depth; at most 64"
        "Cgroups of the host that are counted apart from the unit or directory that they are in, each with all that is below it: the \
         jobs of batch systems. Containers are told apart without."
}

fn patterns(value: &Value<'_>) -> Result<Vec<CgroupPattern>, String> {
    let texts = value.texts(',', "a list of paths such as [\"*slurmstepd.scope/job_*\"]")?;
    if texts.len() > limits::CGROUP_PATTERNS {
        return Err(format!("must be at most {} paths", limits::CGROUP_PATTERNS));
    }
    texts.into_iter().map(str::parse).collect()
}

fn patterns_text(patterns: &[CgroupPattern]) -> String {
    let texts: Vec<String> = patterns
        .iter()
        .map(|it| format!("{:?}", it.to_string()))
        .collect();
    format!("[{}]", texts.join(", "))
}

fn enabled(value: &Value<'_>) -> Result<Enabled, String> {
    value.word(Enabled::WORDS)
}

/// Caps by family, whose names may stand with or without their prefix.
fn caps(value: &Value<'_>) -> Result<BTreeMap<String, u32>, String> {
    let caps = value.numbers(1..=limits::SERIES_MAX)?;
    let faults: Vec<String> = caps
        .keys()
        .filter(|name| families::by_name(name).is_none())
        .map(|name| match families::nearest(name) {
            Some(known) => format!("`{name}` is no metric; did you mean `{known}`?"),
            None => format!("`{name}` is no metric; docs/metrics.md lists them"),
        })
        .collect();
    if faults.is_empty() {
        Ok(caps)
    } else {
        Err(faults.join("; "))
    }
}

/// A path, or none.
fn path(value: &Value<'_>) -> Result<Option<PathBuf>, String> {
    const ALLOWED: &str = "\"off\" or the path of a file or folder";
    match value.text_for(ALLOWED)?.as_str() {
        "" => Err(format!("must be {ALLOWED}, not empty")),
        "off" => Ok(None),
        path => Ok(Some(path.into())),
    }
}

/// Keys of labels, each of which becomes a label of a metric.
fn label_keys(value: &Value<'_>) -> Result<Vec<String>, String> {
    const ALLOWED: &str = "a list of at most 16 keys such as [\"app.kubernetes.io/name\"]";
    let keys = value.texts(',', ALLOWED)?;
    let is_key = |key: &&str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        !key.is_empty() && key.len() <= 317 && key.chars().all(is_part)
    };
    if keys.len() <= 16 && keys.iter().all(is_key) {
        Ok(keys.into_iter().map(str::to_owned).collect())
    } else {
        Err(format!("must be {ALLOWED}"))
    }
}

fn quoted_list(texts: &impl AsRef<[String]>) -> String {
    let texts: Vec<_> = texts.as_ref().iter().map(quoted).collect();
    format!("[{}]", texts.join(", "))
}

fn maybe(path: &Option<PathBuf>) -> String {
    quoted(
        &path
            .as_ref()
            .map_or("off".into(), |path| path.display().to_string()),
    )
}

fn plain(value: &impl ToString) -> String {
    value.to_string()
}

fn quoted(text: &impl ToString) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn time(duration: &Duration) -> String {
    quoted(&duration_text(*duration))
}

fn rules(rules: &impl AsRef<[Rule]>) -> String {
    let rules: Vec<_> = rules.as_ref().iter().map(quoted).collect();
    format!("[{}]", rules.join(", "))
}

fn list(paths: &impl AsRef<[PathBuf]>) -> String {
    let paths: Vec<_> = paths
        .as_ref()
        .iter()
        .map(|path| quoted(&path.display()))
        .collect();
    format!("[{}]", paths.join(", "))
}

fn table(numbers: &BTreeMap<String, u32>) -> String {
    if numbers.is_empty() {
        return "{}".into();
    }
    let pairs: Vec<_> = numbers
        .iter()
        .map(|(name, n)| format!("{} = {n}", quoted(name)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}
