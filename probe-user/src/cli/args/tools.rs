//! Arguments of the tools that measure for a while and end.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::render::view::SyscallOrder;

/// What all of these tools take.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// How long to measure, such as 10s or 1m30s [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = positive)]
    pub duration: Option<Duration>,

    /// Print and start again every so often
    #[arg(short, long, value_name = "TIME", value_parser = positive)]
    pub interval: Option<Duration>,

    /// Format to print; what standard output is changes nothing
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,

    /// Only containers with this name, namespace/pod/name or start of an id; `*` stands for anything
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,

    /// Only containers in this namespace, `~host` for parts of the host; `*` stands for anything
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Only this cgroup and those below it, by its path
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<String>,

    /// Only this process, with all its threads
    #[arg(short, long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,

    /// Show only the first N rows [default: all that fit]
    #[arg(short = 'n', long, visible_alias = "limit", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
}

/// `nodeprobe syscalls`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe syscalls --duration 10s                   busiest containers\n  \
    nodeprobe syscalls --container web --by syscall     what one container calls\n  \
    nodeprobe syscalls --by process,syscall --top 20    who calls what on this host\n  \
    nodeprobe syscalls -d 5s -o ndjson | jq .errors")]
pub struct SyscallsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Rows: container, process, syscall, or two of them joined by a comma
    #[arg(long, value_enum, value_delimiter = ',', default_value = "container")]
    pub by: Vec<By>,

    /// What comes first
    #[arg(long, value_enum, default_value_t = SyscallOrder::Calls)]
    pub sort: SyscallOrder,

    /// Only rows with calls that failed
    #[arg(long)]
    pub errors: bool,
}

/// `nodeprobe runqlat`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe runqlat --duration 10s          waits for a CPU by container\n  \
    nodeprobe runqlat --pid 1234 -i 1s        one process, every second\n  \
    nodeprobe runqlat -d 5s -o json")]
pub struct RunqlatArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Rows
    #[arg(long, value_parser = owner, default_value = "container")]
    pub by: By,
}

/// `nodeprobe offcpu`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe offcpu --duration 10s           voluntary and involuntary, by container\n  \
    nodeprobe offcpu --by process --top 10\n  \
    nodeprobe offcpu --container db -o ndjson")]
pub struct OffcpuArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Rows
    #[arg(long, value_parser = owner, default_value = "container")]
    pub by: By,
}

/// What the rows of a table stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum By {
    /// Containers and parts of the host
    Container,
    /// Processes
    Process,
    /// System calls
    Syscall,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// One JSON object at the end
    Json,
    /// One JSON object a line
    Ndjson,
}

impl SyscallsArgs {
    /// Whether rows are split by system call.
    pub fn by_syscall(&self) -> bool {
        self.by.contains(&By::Syscall)
    }

    /// Whose rows: containers or processes, or `None` where only system calls were named.
    ///
    /// # Errors
    ///
    /// If both were asked for, or one twice.
    pub fn owner(&self) -> Result<Option<By>, String> {
        let mut owners = self.by.iter().copied().filter(|by| *by != By::Syscall);
        let owner = owners.next();
        if owners.next().is_some() || self.by.len() > 2 {
            return Err("--by takes either container or process, and syscall beside it".into());
        }
        Ok(owner)
    }
}

fn positive(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    if duration.is_zero() {
        Err("must be longer than nothing".into())
    } else {
        Ok(duration)
    }
}

fn owner(text: &str) -> Result<By, String> {
    match text {
        "container" => Ok(By::Container),
        "process" => Ok(By::Process),
        _ => Err("must be container or process".into()),
    }
}
