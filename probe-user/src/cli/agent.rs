//! `nodeprobe agent`: from arguments to a running agent.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use super::{CliError, Kind, args::AgentArgs, output, tool::charset};
use crate::{
    agent::{self, Hooks, RunError},
    config::FlowTarget,
    logs::{self, LogError},
    privileges::{self, Task},
    probes::REGISTRY,
    render::live::Theme,
};

/// Runs the command.
///
/// # Errors
///
/// If the configuration is wrong, privileges are missing, the address is taken, or no probe works.
pub(super) fn run(args: &AgentArgs) -> Result<Kind, CliError> {
    let config = args.load()?;
    // A table for a person at a terminal, logs for everybody else.
    let live = io::stdout().is_terminal()
        && io::stdin().is_terminal()
        && !args.no_table
        && config.flows.log != FlowTarget::Stdout
        && config.policy.log != FlowTarget::Stdout;
    // The targets of a program's messages begin with the name of its object, and that with the probe's.
    let programs = REGISTRY.iter().filter(|_| config.debug);
    let logs = Arc::new(logs::init(
        &config.log,
        output::style_wanted(&io::stderr()),
        programs.map(|spec| spec.name).collect(),
    )?);
    privileges::check(&[Task::Probes])?;
    if live {
        logs.keep_lines();
    }
    let theme = || {
        let coloured = output::style_wanted(&io::stdout());
        if coloured {
            Theme::colour(charset())
        } else {
            Theme::plain(charset())
        }
    };
    let (again, levels, losses) = (args.clone(), logs.clone(), logs.clone());
    let hooks = Hooks {
        reload: Box::new(move || again.load()),
        set_log_level: Box::new(move |level| levels.set_level(level)),
        log_losses: Arc::new(move || losses.suppressed()),
        live: live.then(theme),
        duration: args.duration,
    };
    let result = agent::run(config, hooks);
    // What was logged behind the table is shown once it is gone.
    logs.release_lines();
    result?;
    Ok(Kind::Fine)
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Start(error) => error.into(),
            RunError::Policies(error) => error.into(),
            RunError::Bind(_) | RunError::FlowLog { .. } | RunError::System { .. } => {
                Self::failure(error)
            }
        }
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Filter(_) => Self::usage(error),
            LogError::Running(_) => Self::failure(error),
        }
    }
}
