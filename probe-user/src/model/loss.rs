//! Reasons of losses, and what an operator can do about each.

/// What a loss reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossReason {
    /// The `reason` label of `nodeprobe_records_lost_total`, and the last part of the keys of `lost` in reports.
    pub name: &'static str,
    /// What is missing from the results.
    pub missing: &'static str,
    /// What an operator can do.
    pub advice: &'static str,
}

const fn reason(name: &'static str, missing: &'static str, advice: &'static str) -> LossReason {
    LossReason {
        name,
        missing,
        advice,
    }
}

const REPORT: &str = "A bug: report it with the output of `nodeprobe doctor -o json`.";
const MEMORY: &str = "A container with an `~other` of its own has used up its share of the table: see what it does. If many have one, raise \
                      `limits.kernel_memory`.";

/// All reasons: those of the kernel side in its order, then those of user space.
pub const LOSS_REASONS: &[LossReason] = &[
    reason(
        "in_flight_full",
        "The state of a task: the latency of its current call, or its current wait.",
        "The kernel had no memory for task storage: free memory on the host. On kernels without task storage (before 5.11), \
         raise `limits.kernel_memory`.",
    ),
    reason(
        "detail_full",
        "The system call: it is counted under `~other` of its own container, whose total stays exact. Counts look-ups, not \
         calls.",
        MEMORY,
    ),
    reason(
        "owners_full",
        "The container: its counts are under `~other`. Counts look-ups, not events.",
        "Raise `limits.owners`, and `limits.kernel_memory` with it.",
    ),
    reason(
        "errno_full",
        "The errno of an error. The error is counted for its system call.",
        MEMORY,
    ),
    reason(
        "pairs_full",
        "The preemptor of a preemption. The preemption is counted for its victim.",
        MEMORY,
    ),
    reason(
        "ring_full",
        "Records: a change of a cgroup (stream `lifecycle`), which a walk of the hierarchy replaces; a DNS message (`flows`); \
         the end of a connection (`tcp`).",
        "The agent got no CPU for too long: raise its CPU request or its weight. A flood of one container does the same: \
         `nodeprobe dns --by container` and `nodeprobe tcp` show which.",
    ),
    reason(
        "read_failed",
        "A value that the kernel did not let the program read. The event lacks it.",
        REPORT,
    ),
    reason(
        "clock_backwards",
        "Nothing. Two CPUs disagreed about the time, and a duration below zero was counted as zero.",
        "Nothing at a few per hour. At more, check the clock source: `/sys/devices/system/clocksource/*/current_clocksource`.",
    ),
    reason("map_missing", "A count.", REPORT),
    reason(
        "path_cut",
        "The end of a cgroup path of more than 511 bytes. A walk of the hierarchy replaces it.",
        "Nothing, or shorter names of nested cgroups.",
    ),
    reason(
        "entry_leaked",
        "Nothing. Room for one key is lost until the end of the run.",
        "Restart the agent if the count approaches the entries of the pool.",
    ),
    reason(
        "names_full",
        "The name of a process, in the tools that measure by process.",
        "Measure for a shorter time, or by container.",
    ),
    reason(
        "flow_table_full",
        "The flow of a packet. The packet is counted for its container.",
        "Raise `limits.flows`, or exclude what nobody needs with `flows.ignore`.",
    ),
    reason(
        "connections_full",
        "The start and the process of a connection.",
        "Raise `limits.connections`.",
    ),
    reason(
        "listeners_full",
        "The container of a listening socket: drops of its accept queue are under `~unknown`.",
        "More than 8192 listening sockets: not configurable. Report it.",
    ),
    reason(
        "pending_full",
        "The duration of a DNS lookup over UDP, and that nobody answered it if so.",
        "Too many unanswered DNS queries of one container at a time: `nodeprobe dns --by server` shows the server that does not answer.",
    ),
    reason(
        "questions_full",
        "The name of a DNS lookup that is never answered.",
        "As for `pending_full`.",
    ),
    reason(
        "streams_full",
        "DNS messages of a connection over TCP.",
        "A container has more than a thousand connections to port 53 open at a time: report it if that is usual.",
    ),
    reason(
        "stream_gap",
        "DNS messages over TCP behind a segment that was not seen; what became of the queries of that connection.",
        "Nothing: the probe attached in the middle of a connection, or records were lost (`ring_full`).",
    ),
    reason(
        "message_cut",
        "The end of a DNS message: names and addresses in it.",
        "Nothing: the message is longer than a record.",
    ),
    reason(
        "malformed",
        "A packet whose headers make no sense.",
        "Capture it (`tcpdump -w`): a sender on this host builds broken packets.",
    ),
    reason(
        "flow_drops_full",
        "The flow of a dropped packet. The drop is counted for its container.",
        "Nothing while drops are that many: `nodeprobe tcp` shows their reasons.",
    ),
    reason(
        "end_missed",
        "The end of a connection: totals lack what it exchanged since the last reading.",
        "Nothing at a few per hundred thousand connections; the kernel skipped the program. At more, report it.",
    ),
    reason(
        "recursion",
        "A run of a program: the kernel skipped it, as the program was already running on that CPU, and no fallback program \
         took it.",
        "Nothing at a few per hour. At more, look for other tracing tools on the host (`bpftool prog`), and report it.",
    ),
    reason("decode_error", "A record of the kernel side.", REPORT),
    reason(
        "queue_full",
        "A record of the flow log or the audit log; for stream `lifecycle` the removal of a cgroup, whose counters stay.",
        "The disk or the reader of standard output is too slow: write less (`flows.include`, `flows.exclude`), or to a faster \
         disk.",
    ),
    reason(
        "encode_error",
        "A record of the flow log or the audit log.",
        REPORT,
    ),
    reason(
        "evicted",
        "Nothing that was counted. A flow of datagrams was ended early to make room for others.",
        "Raise `limits.flows`, or shorten `flows.idle`.",
    ),
    reason(
        "ends_full",
        "The other endpoint of a flow: its record has an address in place of a container.",
        "Lower `limits.connections` to what the host needs, or report it.",
    ),
    reason(
        "drops_full",
        "The drops of a flow. They are counted for its container.",
        "Nothing while drops are that many: `nodeprobe tcp` shows their reasons.",
    ),
    reason(
        "not_written",
        "Events of a tool that streams to standard output.",
        "The reader of standard output is too slow: narrow the events with `--container`, `--cidr` or `--port`.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn known() -> BTreeSet<&'static str> {
        LOSS_REASONS.iter().map(|reason| reason.name).collect()
    }

    #[test]
    fn every_reason_of_the_kernel_side_is_explained() {
        assert_eq!(known().len(), LOSS_REASONS.len(), "each once");
        let missing: Vec<_> = (probe_common::loss::NAMES.iter())
            .filter(|name| !known().contains(*name))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
