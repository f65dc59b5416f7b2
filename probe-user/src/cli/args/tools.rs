//! Arguments of the tools that measure system calls and the scheduler.

use clap::{Args, ValueEnum};

use super::{CommonArgs, ProcessArgs, StrictArgs};
use crate::render::view::{SchedOrder, SyscallOrder};

/// `nodeprobe syscalls`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe syscalls --duration 10s                   busiest containers\n  \
    nodeprobe syscalls --container web --by syscall     what one container calls\n  \
    nodeprobe syscalls --by process,syscall --limit 20  who calls what on this host\n  \
    nodeprobe syscalls -d 5s -o ndjson | jq .errors")]
pub struct SyscallsArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Which processes.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// Whether filters must match.
    #[command(flatten)]
    pub strict: StrictArgs,

    /// Rows: container, process, syscall, or two of them joined by a comma
    #[arg(
        long,
        value_enum,
        value_name = "ROWS",
        value_delimiter = ',',
        default_value = "container"
    )]
    pub by: Vec<By>,

    /// Order of the rows, largest first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = SyscallOrder::Calls)]
    pub sort: SyscallOrder,

    /// Only rows with calls that failed
    #[arg(long)]
    pub errors: bool,
}

/// `nodeprobe runqlat`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe runqlat --duration 10s          waits for a CPU by container\n  \
    nodeprobe runqlat 1 10                    ten reports, one every second\n  \
    nodeprobe runqlat --pid 1234 -i 1s        one process, every second\n  \
    nodeprobe runqlat -d 10s --histogram      with the distribution of each container\n  \
    nodeprobe runqlat -d 5s -o json")]
pub struct RunqlatArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Which processes.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// Whether filters must match.
    #[command(flatten)]
    pub strict: StrictArgs,

    /// Rows
    #[arg(long, value_enum, value_name = "ROWS", default_value_t = SchedBy::Container)]
    pub by: SchedBy,

    /// Order of the rows, largest first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = SchedOrder::Wait)]
    pub sort: SchedOrder,

    /// Show the distribution of each row below the table [default: only of a single row]
    #[arg(long)]
    pub histogram: bool,
}

/// `nodeprobe offcpu`
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  \
    nodeprobe offcpu --duration 10s           voluntary and involuntary, by container\n  \
    nodeprobe offcpu --by process --limit 10\n  \
    nodeprobe offcpu --container db -o ndjson")]
pub struct OffcpuArgs {
    /// Flags of all tools.
    #[command(flatten)]
    pub common: CommonArgs,

    /// Which processes.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// Whether filters must match.
    #[command(flatten)]
    pub strict: StrictArgs,

    /// Rows
    #[arg(long, value_enum, value_name = "ROWS", default_value_t = SchedBy::Container)]
    pub by: SchedBy,

    /// Order of the rows, largest first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = SchedOrder::Offcpu)]
    pub sort: SchedOrder,

    /// Show the distribution of each row below the table [default: only of a single row]
    #[arg(long)]
    pub histogram: bool,
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

/// What rows of scheduling stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchedBy {
    /// Containers and parts of the host
    Container,
    /// Processes
    Process,
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
