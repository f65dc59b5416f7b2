//! Every bound that an operator can move, its default and the reason for it.

use std::time::Duration;

/// Kernel memory of the counters and histograms, in bytes, at any number of CPUs.
pub const KERNEL_MEMORY: u64 = 64 << 20;
/// Least kernel memory that is accepted.
pub const KERNEL_MEMORY_MIN: u64 = 4 << 20;
/// Most kernel memory that is accepted, so that a slip of a unit does not take the host's memory.
pub const KERNEL_MEMORY_MAX: u64 = 16 << 30;

/// Containers and host parts that are counted apart. A node of Kubernetes has some hundred pods.
pub const OWNERS: u32 = 4096;
/// Most owners, so that a slip of a digit is caught.
pub const OWNERS_MAX: u32 = 65_535;

/// Series on `/metrics` in all: a node of 110 pods with three containers each has all its containers.
pub const SERIES: u32 = 150_000;
/// Most series, so that a slip of a digit is caught.
pub const SERIES_MAX: u32 = 5_000_000;

/// For how long the series of a removed container stay: long enough for two scrapes a minute apart and one
/// that failed in between, several times over.
pub const RETAIN: Duration = Duration::from_secs(10 * 60);
/// Longest retention.
pub const RETAIN_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long a container may stay without its name before a short id is used.
pub const NAMING_DEADLINE: Duration = Duration::from_secs(3);
/// Longest wait for a name.
pub const NAMING_DEADLINE_MAX: Duration = Duration::from_secs(60);

/// Time between two collections. Counters are exact at any interval; this bounds the age of what is shown.
pub const COLLECT_INTERVAL: Duration = Duration::from_secs(10);
/// Shortest interval.
pub const COLLECT_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest interval.
pub const COLLECT_INTERVAL_MAX: Duration = Duration::from_secs(60 * 60);

/// One of how many calls is timed when latency is sampled.
pub const LATENCY_SAMPLE: u32 = 64;
/// Most calls between two timed ones.
pub const LATENCY_SAMPLE_MAX: u32 = 1 << 20;

/// Most entries of a list or table in the configuration.
pub const CONFIG_ENTRIES: usize = 64;
/// Largest configuration file, in bytes. A larger one is something else.
pub const CONFIG_FILE: u64 = 1 << 20;

/// Lines that wait in front of a sink: a few seconds of a busy host.
pub const SINK_LINES: usize = 8192;
/// Bytes of these. Reached first by long lines, and what bounds the memory.
pub const SINK_BYTES: usize = 16 << 20;
/// Largest file of a sink before it is put aside, in bytes.
pub const SEGMENT_SIZE: u64 = 64 << 20;
/// Greatest age of a file of a sink before it is put aside.
pub const SEGMENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Files of a sink that are kept besides the current one.
pub const SEGMENTS: u32 = 10;
/// Smallest such size: below it a host would make files without end.
pub const SEGMENT_SIZE_MIN: u64 = 64 << 10;
/// Largest such size.
pub const SEGMENT_SIZE_MAX: u64 = 1 << 40;
/// Shortest such age.
pub const SEGMENT_AGE_MIN: Duration = Duration::from_secs(1);
/// Longest such age.
pub const SEGMENT_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Most files of a sink, so that a slip of a digit is caught.
pub const SEGMENTS_MAX: u32 = 100_000;
/// Shortest time after which a line is brought to the disk.
pub const FLOW_FSYNC_MIN: Duration = Duration::from_millis(100);
/// Longest such time.
pub const FLOW_FSYNC_MAX: Duration = Duration::from_secs(60 * 60);

/// Time between two counts of the round-trip time of a connection that goes on, so that long ones show beside many short ones.
pub const RTT_INTERVAL: Duration = Duration::from_secs(60);

/// Time between two readings of the tables of flows: what a flow that was put out of a full table may lack.
pub const FLOW_SWEEP: Duration = Duration::from_secs(10);
/// Shortest such time.
pub const FLOW_SWEEP_MIN: Duration = Duration::from_secs(1);
/// Longest such time.
pub const FLOW_SWEEP_MAX: Duration = Duration::from_secs(60);
/// Time between two records of a flow that goes on.
pub const FLOW_PERIOD: Duration = Duration::from_secs(60);
/// Shortest such time, and shortest idle timeout.
pub const FLOW_PERIOD_MIN: Duration = Duration::from_secs(1);
/// Longest such time, and longest idle timeout.
pub const FLOW_PERIOD_MAX: Duration = Duration::from_secs(60 * 60);
/// Time without an answer after which a name look-up has failed: most resolvers ask again then.
pub const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest time after which a name look-up has failed.
pub const DNS_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Longest time after which a name look-up has failed.
pub const DNS_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Time without a packet after which a flow of datagrams has ended.
pub const FLOW_IDLE: Duration = Duration::from_secs(60);
/// Most flows of datagrams of which one is counted.
pub const FLOW_SAMPLING_MAX: u32 = 1 << 16;
/// Events of flows that wait for the name of their container.
pub const HELD_FLOWS: usize = 16_384;

/// Longest line that the reader of a flow log takes for one, in bytes. Records have one to two kilobytes.
pub const RECORD_LINE: usize = 1 << 20;

/// Log lines of one event in a second; what comes above is counted.
pub const LOG_REPEATS: u32 = 10;
/// Log events whose rate is tracked at a time.
pub const LOG_EVENTS: usize = 1024;
/// Lines that are kept while a full-screen table is shown.
pub const LOG_KEPT_LINES: usize = 200;

/// Processes that the one-shot tools tell apart.
pub const PROCESSES: u32 = 16_384;

/// Flows of datagrams at a time: 12 MiB at some 185 bytes an entry.
pub const FLOWS: u32 = 65_536;
/// TCP connections at a time: 12 MiB at some 185 bytes an entry.
pub const CONNECTIONS: u32 = 65_536;
/// Most flows and most connections: 670 MiB each.
pub const FLOWS_MAX: u32 = 1 << 22;
/// Listening sockets.
pub const LISTENERS: u32 = 8192;
/// Name look-ups that wait for an answer.
pub const PENDING_LOOKUPS: u32 = 16_384;
/// Owners that sockets are counted for: 880 bytes each.
pub const SOCKET_OWNERS: u32 = 8192;
/// Pairs of owner and reason of dropped packets.
pub const DROPS: u32 = 8192;
/// Senders, receivers and reasons of dropped packets between two readings.
pub const FLOW_DROPS: u32 = 8192;
/// Senders and receivers of dropped packets that are remembered for their flows.
pub const DROPPED: usize = 65_536;
/// Ends of flows that are remembered to find the other end: two keys a flow.
pub const FLOW_ENDS: usize = 4 * CONNECTIONS as usize;
/// Flows that connection tracking is asked about in a second.
pub const TRANSLATIONS_PER_SECOND: u32 = 10_000;
/// Questions that wait for their answer; what comes above is not asked.
pub const TRANSLATIONS_ASKED: usize = 8192;
/// Answers that are remembered for the next record of a flow: some 100 bytes each.
pub const TRANSLATIONS: usize = CONNECTIONS as usize;
/// Ended flows that wait for the other end to become known.
pub const HELD_ENDS: usize = 65_536;

/// Connections that go on and were judged: some 50 bytes each.
pub const JUDGED: usize = 2 * CONNECTIONS as usize;
/// Addresses that containers were seen at: some 250 bytes each.
pub const RESIDENTS: usize = 16_384;
/// Addresses of pods and nodes that are known, and were until not long ago: some 300 bytes each.
pub const KUBERNETES_ADDRESSES: usize = 262_144;
/// Containers of our own node whose names the API server told: some 150 bytes each.
pub const KUBERNETES_CONTAINERS: usize = 65_536;
/// Pods that are gone and still known: some 400 bytes each.
pub const KUBERNETES_GONE: usize = 16_384;
/// Events that wait to be written.
pub const KUBERNETES_EVENTS: usize = 256;
/// Rules of policies that are counted.
pub const POLICY_RULES: usize = 16_384;
/// Owners, directions, verdicts and outcomes that are counted.
pub const VERDICTS: usize = 16_384;
/// Time in which a change of policies may not be in force everywhere.
pub const POLICY_GRACE: Duration = Duration::from_secs(10);
/// Longest such time.
pub const POLICY_GRACE_MAX: Duration = Duration::from_secs(10 * 60);

/// Patterns of cgroups that are told apart; each is compared with the path of every cgroup.
pub const CGROUP_PATTERNS: usize = 64;
