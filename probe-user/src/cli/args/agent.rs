//! Arguments of `nodeprobe agent`, and the configuration sources that they stand for.

use std::{env, path::PathBuf, time::Duration};

use clap::Args;

use super::values::time;
use crate::config::{Config, ConfigError, Sources, load};

/// `nodeprobe agent`
#[derive(Args, Clone, Debug, Default)]
#[command(
    after_help = "The command line stands above the environment (NODEPROBE_...), that above the file.\n\
    SIGHUP reads the file again, SIGTERM and Ctrl-C end the agent.\n\n\
    Examples:\n  \
    nodeprobe agent\n  \
    nodeprobe agent --print-config > /etc/nodeprobe.toml\n  \
    nodeprobe agent --config /etc/nodeprobe.toml --listen 0.0.0.0:9435\n  \
    nodeprobe agent --set probes.syscalls.latency=sampled --set limits.series=5000"
)]
pub struct AgentArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "NODEPROBE_CONFIG")]
    pub config: Option<PathBuf>,

    /// Print the documented default configuration and end
    #[arg(long)]
    pub print_config: bool,

    /// Where to serve the metrics; `:9435` stands for all IPv4 addresses of the host [default: 127.0.0.1:9435]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,

    /// Value of the `node` label [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Write records of flows to a file, or - for standard output [default: off]
    #[arg(long, value_name = "PATH")]
    pub flow_log: Option<String>,

    /// Judge connections by the network policies of this file or folder [default: off]
    #[arg(long, value_name = "PATH")]
    pub manifests: Option<String>,

    /// Write audit events of connections to a file, or - for standard output [default: off]
    #[arg(long, value_name = "PATH")]
    pub event_log: Option<String>,

    /// Write logs to a terminal too, instead of showing the live table there
    #[arg(long)]
    pub no_table: bool,

    /// Log messages from the programs in the kernel
    #[arg(long)]
    pub debug: bool,

    /// End after this time, cleanly
    #[arg(short, long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,

    /// Set any key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
}

impl AgentArgs {
    /// Where the configuration comes from. The same again on SIGHUP.
    pub fn sources(&self) -> Sources {
        let single = [
            ("listen", self.listen.clone()),
            ("node", self.node.clone()),
            ("log.level", self.log_level.clone()),
            ("log.format", self.log_format.clone()),
            ("flows.log", self.flow_log.clone()),
            ("policy.manifests", self.manifests.clone()),
            ("policy.log", self.event_log.clone()),
            ("debug", self.debug.then(|| "true".into())),
        ];
        let single = single
            .into_iter()
            .filter_map(|(key, value)| Some((key.into(), value?)));
        Sources {
            file: self.config.clone(),
            environment: environment(),
            arguments: self.set.iter().cloned().chain(single).collect(),
        }
    }

    /// The checked configuration.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn load(&self) -> Result<Config, ConfigError> {
        load(&self.sources())
    }
}

/// The variables of this process that are text.
pub(crate) fn environment() -> Vec<(String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
