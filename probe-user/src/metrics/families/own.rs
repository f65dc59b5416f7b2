//! The probe about itself. Their caps sum up to what [`crate::metrics::SELF_RESERVE`] sets aside.

use super::{Desc, Kind, Unit, counter, gauge, off_by_default, seconds_counter};

/// Which probe this is.
pub static BUILD: Desc = Desc {
    kind: Kind::Info,
    ..counter(
        "nodeprobe_build_info",
        "Version and revision of the probe, version of its records, release of the kernel.",
        &["version", "revision", "schema", "kernel"],
        1,
    )
};

/// Losses by stage.
pub static RECORDS_LOST: Desc = counter(
    "nodeprobe_records_lost_total",
    "Measurements and records that were lost, by stream, stage and reason.",
    &["stream", "stage", "reason"],
    // Each probe has all reasons of the kernel side.
    160,
);

/// Events without an owner.
pub static UNATTRIBUTED: Desc = counter(
    "nodeprobe_unattributed_total",
    "Events whose container could not be determined, by stream and reason.",
    &["stream", "reason"],
    12,
);

/// Liveness of programs.
pub static PROGRAM_UP: Desc = gauge(
    "nodeprobe_program_up",
    "1 while the program is attached, 0 if it should be.",
    Unit::None,
    &["program", "probe"],
    32,
);

/// Run time of programs.
pub static PROGRAM_RUN: Desc = off_by_default(seconds_counter(
    "nodeprobe_program_run_seconds_total",
    "Run time of the program, while kernel statistics are on.",
    &["program"],
    32,
));

/// Runs of programs.
pub static PROGRAM_RUNS: Desc = off_by_default(counter(
    "nodeprobe_program_runs_total",
    "Runs of the program, while kernel statistics are on.",
    &["program"],
    32,
));

/// Fill of maps.
pub static MAP_ENTRIES: Desc = gauge(
    "nodeprobe_map_entries",
    "Entries in use in the kernel map.",
    Unit::None,
    &["map"],
    32,
);

/// Size of maps in entries.
pub static MAP_CAPACITY: Desc = gauge(
    "nodeprobe_map_capacity",
    "Entries that fit into the kernel map.",
    Unit::None,
    &["map"],
    32,
);

/// Size of maps in bytes.
pub static MAP_BYTES: Desc = gauge(
    "nodeprobe_map_bytes",
    "Kernel memory of the map.",
    Unit::Bytes,
    &["map"],
    32,
);

/// Use of the budgets. Kept by the registry itself, like the two below.
pub static SERIES: Desc = gauge(
    "nodeprobe_series",
    "Time series that the family shows in the text form, ~other included.",
    Unit::None,
    &["family"],
    120,
);

/// The budgets.
pub static SERIES_LIMIT: Desc = gauge(
    "nodeprobe_series_limit",
    "Most time series that the family can have, without the common ~other.",
    Unit::None,
    &["family"],
    120,
);

/// What went over the budgets.
pub static SERIES_OVERFLOW: Desc = counter(
    "nodeprobe_series_overflow_total",
    "Updates without a series of their own: folded into ~other of the container, or of all containers, or refused.",
    &["family"],
    120,
);

/// Containers by whether they have series; `state` is `shown` or `folded`.
pub static SERIES_CONTAINERS: Desc = gauge(
    "nodeprobe_series_containers",
    "Containers and parts of the host with series of their own (shown), and those whose counts are in the common ~other (folded).",
    Unit::None,
    &["state"],
    4,
);

/// Most containers with series.
pub static SERIES_CONTAINERS_LIMIT: Desc = gauge(
    "nodeprobe_series_containers_limit",
    "Containers and parts of the host that can have series of their own; follows limits.series.",
    Unit::None,
    &[],
    1,
);

/// Sampling.
pub static SAMPLING_RATIO: Desc = gauge(
    "nodeprobe_sampling_ratio",
    "Share of the events that the family has seen; 1 means all.",
    Unit::None,
    &["family"],
    8,
);

/// State of features.
pub static FEATURE_STATE: Desc = gauge(
    "nodeprobe_feature_state",
    "1 for the state that the probe is in.",
    Unit::None,
    &["probe", "state"],
    32,
);

/// Duration of the last collection.
pub static COLLECT_DURATION: Desc = gauge(
    "nodeprobe_collect_duration_seconds",
    "Duration of the last collection from the kernel.",
    Unit::Seconds,
    &["probe"],
    8,
);

/// Success of the last collection.
pub static COLLECT_SUCCESS: Desc = gauge(
    "nodeprobe_collect_success",
    "1 if the last collection from the kernel succeeded.",
    Unit::None,
    &["probe"],
    8,
);

/// Live containers.
pub static CONTAINERS: Desc = gauge(
    "nodeprobe_containers",
    "Live containers by runtime.",
    Unit::None,
    &["runtime"],
    8,
);

/// Live containers without a name.
pub static UNNAMED_CONTAINERS: Desc = gauge(
    "nodeprobe_unnamed_containers",
    "Live containers that no runtime has named, and that have their short id instead, by runtime and reason.",
    Unit::None,
    &["runtime", "reason"],
    32,
);

/// Identities that the cache had no room for.
pub static IDENTITIES_EVICTED: Desc = counter(
    "nodeprobe_identities_evicted_total",
    "Container identities that were dropped because the cache was full.",
    &[],
    1,
);

/// Log lines that nobody saw.
pub static LOG_LINES_LOST: Desc = counter(
    "nodeprobe_log_lines_lost_total",
    "Log lines that were held back because they repeated too often, or pushed out behind the live table.",
    &[],
    1,
);

/// Records of the flow log; `result` is `written`, `refused`, `filtered`, `unencodable` or `abandoned`.
pub static FLOW_LOG_RECORDS: Desc = counter(
    "nodeprobe_flow_log_records_total",
    "Records of the flow log, by what became of them; filtered ones are not in the log on purpose.",
    &["result"],
    5,
);

/// Bytes of the flow log.
pub static FLOW_LOG_BYTES: Desc = Desc {
    unit: Unit::Bytes,
    ..counter(
        "nodeprobe_flow_log_bytes_total",
        "Bytes written to the flow log, before compression.",
        &[],
        1,
    )
};

/// Queue of the flow log.
pub static FLOW_LOG_WAITING: Desc = gauge(
    "nodeprobe_flow_log_waiting",
    "Records that wait to be written to the flow log.",
    Unit::None,
    &[],
    1,
);

/// Trouble with the flow log; `action` is `write`, `rotate`, `compress` or `sync`.
pub static FLOW_LOG_FAILURES: Desc = counter(
    "nodeprobe_flow_log_failures_total",
    "Attempts at the files of the flow log that failed, by action. All but compressing are made again.",
    &["action"],
    4,
);

/// Questions for translated addresses; `result` is `translated`, `untranslated`, `absent`, `failed`, `late` or `over_budget`.
pub static FLOW_TRANSLATIONS: Desc = counter(
    "nodeprobe_flow_translations_total",
    "Flows that connection tracking was asked about, by what came of it.",
    &["result"],
    6,
);

/// Answers of the HTTP server.
pub static HTTP_REQUESTS: Desc = counter(
    "nodeprobe_http_requests_total",
    "HTTP requests answered, by status code.",
    &["code"],
    10,
);

/// Connections that the HTTP server ended: `over_limit`, `timeout` or `io`.
pub static HTTP_CONNECTIONS_DROPPED: Desc = counter(
    "nodeprobe_http_connections_dropped_total",
    "HTTP connections that were refused or ended early, by reason.",
    &["reason"],
    4,
);

/// Processor time of the agent.
pub static PROCESS_CPU: Desc = seconds_counter(
    "process_cpu_seconds_total",
    "User and system CPU time of the probe's process.",
    &[],
    1,
);

/// Memory of the agent.
pub static PROCESS_RESIDENT_MEMORY: Desc = gauge(
    "process_resident_memory_bytes",
    "Resident memory of the probe's process.",
    Unit::Bytes,
    &[],
    1,
);

/// Start of the agent.
pub static PROCESS_START_TIME: Desc = gauge(
    "process_start_time_seconds",
    "Unix time at which the probe's process was started.",
    Unit::Seconds,
    &[],
    1,
);

/// Open files of the agent.
pub static PROCESS_OPEN_FDS: Desc = gauge(
    "process_open_fds",
    "Open file descriptors of the probe's process.",
    Unit::None,
    &[],
    1,
);
