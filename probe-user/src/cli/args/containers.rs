//! Arguments of `nodeprobe containers`.

use clap::Args;

use super::{OutputFormat, RuntimeArgs, values::name};

/// `nodeprobe containers`
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Needs no privileges but those that the sockets of the runtimes ask for.\n\n\
    Examples:\n  \
    nodeprobe containers                            what --container of the tools understands\n  \
    nodeprobe containers --all                      parts of the host too\n  \
    nodeprobe containers -o ndjson | jq 'select(.naming == \"unnamed\")'"
)]
pub struct ContainersArgs {
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,

    /// Only containers with this name, namespace/pod/name or start of an id; `*` stands for any characters; may be repeated
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    pub container: Vec<String>,

    /// Only containers in this namespace, `~host` for parts of the host; `*` stands for any characters; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    pub namespace: Vec<String>,

    /// List parts of the host too: units, jobs of batch systems, other cgroups
    #[arg(long)]
    pub all: bool,

    /// Where the runtimes are.
    #[command(flatten)]
    pub runtimes: RuntimeArgs,
}
