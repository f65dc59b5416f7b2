//! `cargo xtask run`: builds, then becomes `nodeprobe`.
use anyhow::{Context as _, Result};

use crate::{
    build,
    process::{Cmd, find},
    workspace,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments for nodeprobe; without any it runs the agent
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nodeprobe: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    build::nodeprobe(&[])?;
    let program = workspace::release("nodeprobe");
    let command = if workspace::is_root() {
        Cmd::new(program)
    } else {
        let sudo = find("sudo").context(
            "loading programs into the kernel needs root, and there is no sudo; become root",
        )?;
        Cmd::new(sudo).arg(program)
    };
    // In place of this process, so that Ctrl-C and the exit code are nodeprobe's own.
    Err(command.args(arguments(&args.nodeprobe)).exec())
}

fn arguments(given: &[String]) -> Vec<&str> {
    if given.is_empty() {
        vec!["agent"]
    } else {
        given.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_it_is_the_agent() {
        assert_eq!(arguments(&[]), ["agent"]);
        assert_eq!(arguments(&["doctor".into(), "-o".into()]), ["doctor", "-o"]);
    }
}
