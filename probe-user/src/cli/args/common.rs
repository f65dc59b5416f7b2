//! Flags that all measuring tools take.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{
    RuntimeArgs,
    values::{interval, name, time},
};

/// What all measuring tools take.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// How long to measure: 10s, 1m30s, or a number of seconds [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,

    /// Print a report and start again every TIME
    #[arg(short, long, value_name = "TIME", value_parser = interval)]
    pub interval: Option<Duration>,

    /// The same as --interval: `runqlat 5` prints a report every 5 seconds
    #[arg(value_name = "INTERVAL", value_parser = interval, conflicts_with = "interval")]
    pub every: Option<Duration>,

    /// How many reports to print: `runqlat 5 1` prints one after 5 seconds
    #[arg(value_name = "COUNT", requires = "every", conflicts_with = "duration", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,

    /// Output format (independent of whether stdout is a terminal)
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,

    /// Only containers with this name, namespace/pod/name or start of an id; `*` stands for any characters; may be repeated
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    pub container: Vec<String>,

    /// Only containers in this namespace, `~host` for parts of the host; `*` stands for any characters; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    pub namespace: Vec<String>,

    /// Only this cgroup and those below it, by its path from the root of the hierarchy or below its mount; may be repeated
    #[arg(long, value_name = "PATH", value_parser = name)]
    pub cgroup: Vec<String>,

    /// Show at most N rows in a table, and the rest as one [default: all]
    #[arg(long, alias = "top", short_alias = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Where the runtimes are.
    #[command(flatten)]
    pub runtimes: RuntimeArgs,
}

impl CommonArgs {
    /// Time between two reports; `None` for one report at the end.
    pub fn interval(&self) -> Option<Duration> {
        self.interval.or(self.every)
    }

    /// How long to measure; `None` for until a signal arrives.
    pub fn duration(&self) -> Option<Duration> {
        let reports = self.count.zip(self.interval());
        let of_reports = reports.map(|(count, interval)| interval.saturating_mul(count));
        self.duration.or(of_reports)
    }

    /// Rows of a table.
    pub fn limit(&self) -> Option<usize> {
        self.limit.map(|limit| limit as usize)
    }
}

/// For tools that know the processes of their rows.
#[derive(Args, Clone, Debug, Default)]
pub struct ProcessArgs {
    /// Only this process, with all its threads; may be repeated
    #[arg(short, long, value_name = "PID", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,
}

/// What a filter that matches nothing is.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct StrictArgs {
    /// Exit with status 4 if a filter matches nothing
    #[arg(long)]
    pub strict: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// One JSON object; with --interval one a line
    Json,
    /// One JSON object a line for each row
    Ndjson,
}
