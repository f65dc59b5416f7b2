//! The command line: what can be asked for, and where each command begins.

mod agent;
pub mod args;
mod containers;
pub mod doctor;
mod error;
mod metrics;
mod network;
mod output;
mod policy;
mod sched;
#[cfg(test)]
mod schema;
mod screen;
mod syscalls;
mod tool;

use clap::{Parser, Subcommand};

pub use self::{
    error::{CliError, Kind},
    output::print,
    screen::{columns, style_wanted},
};
use crate::config::print_default;

/// Version and revision, for `--version` and `nodeprobe_build_info`.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("NODEPROBE_REVISION"),
    ")"
);

/// What a host's containers call, wait for and fail at, measured in the kernel by eBPF.
#[derive(Debug, Parser)]
#[command(
    name = "nodeprobe",
    version = VERSION,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 fine, 1 failure, 2 usage, 3 missing privilege or kernel feature, 4 finding.\n\
                  Start with `nodeprobe doctor`: it says what works on this host."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure all the time and serve the metrics
    Agent(args::AgentArgs),
    /// Count and time system calls for a while
    Syscalls(args::SyscallsArgs),
    /// Show how long tasks wait for a CPU
    Runqlat(args::RunqlatArgs),
    /// Show how long tasks are off the CPU, and why
    Offcpu(args::OffcpuArgs),
    /// Show who talks with whom, and how much
    Flows(args::FlowsArgs),
    /// Show how connections fare: failures, retransmissions, latency, drops
    Tcp(args::TcpArgs),
    /// Show which names are looked up, and what the answers are
    Dns(args::DnsArgs),
    /// Say what network policies mean for connections
    #[command(subcommand)]
    Policy(args::PolicyCommand),
    /// List containers with their names, ids, runtimes and cgroups, and why one has no name
    Containers(args::ContainersArgs),
    /// Print the metrics once, of a running agent or of this host
    Metrics(args::MetricsArgs),
    /// Say what this kernel, this host and these privileges allow
    Doctor(args::DoctorArgs),
}

/// Runs a command and answers with the exit code of a run without an error.
///
/// # Errors
///
/// What the command failed with.
pub fn run(cli: Cli) -> Result<Kind, CliError> {
    match cli.command {
        Command::Agent(args) if args.print_config => {
            print(&print_default())?;
            Ok(Kind::Fine)
        }
        Command::Doctor(args) => doctor::run(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Syscalls(args) => syscalls::run(&args),
        Command::Runqlat(args) => sched::runqlat(&args),
        Command::Offcpu(args) => sched::offcpu(&args),
        Command::Flows(args) => network::flows(&args),
        Command::Tcp(args) => network::tcp(&args),
        Command::Dns(args) => network::dns(&args),
        Command::Policy(command) => policy::run(&command),
        Command::Containers(args) => containers::run(&args),
        Command::Metrics(args) => metrics::run(&args),
    }
}

#[cfg(test)]
mod tests;
