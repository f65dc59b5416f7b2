//! `nodeprobe agent`: from arguments to a running agent.

use std::io::{self, IsTerminal as _};

use super::{
    CliError, Kind,
    args::AgentArgs,
    output,
    tool::charset,
};
use crate::{
    agent::{self, Hooks, RunError},
    logs,
    privileges::{self, Task},
    render::live::Theme,
};

/// Runs the command.
///
/// # Errors
///
/// If the configuration is wrong, privileges are missing, the address is taken, or no probe works.
pub fn run(args: &AgentArgs) -> Result<Kind, CliError> {
    let config = args.load()?;
    // A table for a person at a terminal, logs for everybody else.
    let live = io::stdout().is_terminal() && io::stdin().is_terminal() && !args.no_table;
    let logs = logs::init(&config.log, live)?;
    privileges::check(&[Task::Probes])?;
    let theme = || {
        let theme = if output::style_wanted(&io::stdout()) { Theme::colour } else { Theme::plain };
        theme(charset())
    };
    let again = args.clone();
    let hooks = Hooks {
        reload: Box::new(move || again.load()),
        set_log_level: Box::new(move |level| logs.set_level(level)),
        live: live.then(theme),
        duration: args.duration,
    };
    agent::run(config, hooks)?;
    Ok(Kind::Fine)
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Start(error) => error.into(),
            RunError::Bind(_) | RunError::System { .. } => Self::failure(error),
        }
    }
}
