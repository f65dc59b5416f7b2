//! Reasons for which the kernel side could not record something: the index into a probe's `LOST` map.

/// Task storage or the in-flight table refused a task: its latency or its state is unknown.
pub const IN_FLIGHT_FULL: u32 = 0;
/// No free entry, so detail went to the container's own `~other` entry; totals per container stay exact.
pub const DETAIL_FULL: u32 = 1;
/// No free entry for the owner at all: its counts are in the shared overflow entry.
pub const OWNERS_FULL: u32 = 2;
/// The errno table was full: the error is counted for its system call, its errno is not.
pub const ERRNO_FULL: u32 = 3;
/// The table of victim and preemptor pairs was full.
pub const PAIRS_FULL: u32 = 4;
/// The ring had no room for a record.
pub const RING_FULL: u32 = 5;
/// A kernel field could not be read.
pub const READ_FAILED: u32 = 6;
/// The clock of one CPU was behind that of another: a duration below zero was counted as zero.
pub const CLOCK_BACKWARDS: u32 = 7;
/// A map answered as if it had been created differently. A bug; counted so that it shows.
pub const MAP_MISSING: u32 = 8;
/// A path did not fit into its record and was cut.
pub const PATH_CUT: u32 = 9;
/// A free entry could not be put back after another CPU was quicker: it stays unused.
pub const ENTRY_LEAKED: u32 = 10;
/// The table of processes had no room: the process has no name.
pub const NAMES_FULL: u32 = 11;

/// The table of flows was full: the packet is counted for its cgroup, not for its flow.
pub const FLOWS_FULL: u32 = 12;
/// The table of connections was full: start and process of one are not known.
pub const CONNECTIONS_FULL: u32 = 13;
/// The table of listening sockets was full.
pub const LISTENERS_FULL: u32 = 14;
/// The table of unanswered questions was full: a look-up has no duration.
pub const PENDING_FULL: u32 = 15;
/// A message did not fit into its record and was cut, or began in the middle.
pub const MESSAGE_CUT: u32 = 16;
/// A packet's headers make no sense.
pub const MALFORMED: u32 = 17;
/// The table of dropped packets by flow was full: one is counted for its container, not for its flow.
pub const FLOW_DROPS_FULL: u32 = 18;
/// The end of a connection was not seen, as another one shows that has its socket's memory: totals lack it. The kernel counts
/// most causes as well, as runs that it skipped.
pub const END_MISSED: u32 = 19;

/// Number of reasons.
pub const REASONS: usize = 20;

/// What a reason is called in metrics and messages.
pub const NAMES: [&str; REASONS] = [
    "in_flight_full",
    "detail_full",
    "owners_full",
    "errno_full",
    "pairs_full",
    "ring_full",
    "read_failed",
    "clock_backwards",
    "map_missing",
    "path_cut",
    "entry_leaked",
    "names_full",
    "flow_table_full",
    "connections_full",
    "listeners_full",
    "pending_full",
    "message_cut",
    "malformed",
    "flow_drops_full",
    "end_missed",
];
