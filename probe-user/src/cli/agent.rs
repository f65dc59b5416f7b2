//! `nodeprobe agent`: from arguments to a running agent.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use super::{
    CliError, Kind,
    args::AgentArgs,
    screen::{charset, is_dumb, style_wanted},
};
use crate::{
    agent::{self, Finish, Hooks, RunError},
    config::FlowTarget,
    http::BindError,
    logs::{self, LogError},
    policy::{FollowError, manifests::ManifestError},
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
        && !is_dumb()
        && !args.no_table
        && config.flows.log != FlowTarget::Stdout
        && config.policy.log != FlowTarget::Stdout;
    // The targets of a program's messages begin with the name of its object, and that with the probe's.
    let programs = REGISTRY.iter().filter(|_| config.debug);
    let logs = Arc::new(logs::init(
        &config.log,
        style_wanted(&io::stderr()),
        programs.map(|spec| spec.name).collect(),
    )?);
    privileges::check(&[Task::Probes])?;
    if live {
        logs.keep_lines();
    }
    let theme = || {
        let coloured = style_wanted(&io::stdout());
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
    // What was logged behind the table is shown once it is gone. A terminal that is stuck would keep the agent for ever.
    if !matches!(result, Ok(Finish::TerminalStuck)) {
        logs.release_lines();
    }
    result?;
    Ok(Kind::Fine)
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Start(error) => error.into(),
            RunError::Policies(FollowError::Manifests(ManifestError::Read {
                ref source, ..
            })) if is_configuration(source) => Self::usage(error),
            RunError::Policies(error) => error.into(),
            RunError::FlowLog { ref source, .. } if is_configuration(source) => {
                Self::usage(error).with_remedy(LOG_REMEDY)
            }
            RunError::Bind(BindError::Denied { .. }) => Self::usage(error),
            RunError::Bind(_) | RunError::FlowLog { .. } | RunError::System { .. } => {
                Self::failure(error)
            }
        }
    }
}

const LOG_REMEDY: &str = "name a file in a directory that exists and that the user of the agent may write to; the systemd \
    unit allows /var/log/nodeprobe only";

/// Whether the system refuses a path for a reason that stays until the configuration or the path is changed. Another start
/// of the agent fails in the same way, so a supervisor must not try.
fn is_configuration(refusal: &io::Error) -> bool {
    use io::ErrorKind::{
        InvalidFilename, IsADirectory, NotADirectory, NotFound, PermissionDenied,
        ReadOnlyFilesystem,
    };
    matches!(
        refusal.kind(),
        InvalidFilename
            | IsADirectory
            | NotADirectory
            | NotFound
            | PermissionDenied
            | ReadOnlyFilesystem
    )
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Filter(_) => Self::usage(error),
            LogError::Running(_) => Self::failure(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: RunError) -> u8 {
        CliError::from(error).kind.code()
    }

    #[test]
    fn what_another_start_cannot_mend_is_a_configuration_error() {
        let log = |kind: io::ErrorKind| RunError::FlowLog {
            name: "flow log",
            target: "/nope/flows".into(),
            source: kind.into(),
        };
        assert_eq!(code(log(io::ErrorKind::NotFound)), 2);
        assert_eq!(code(log(io::ErrorKind::ReadOnlyFilesystem)), 2);
        assert_eq!(code(log(io::ErrorKind::StorageFull)), 1);
        let address = ([127, 0, 0, 1], 80).into();
        assert_eq!(code(BindError::Denied { address }.into()), 2);
        assert_eq!(code(BindError::InUse { address }.into()), 1);
        assert_eq!(code(BindError::NotOurs { address }.into()), 1);
    }
}
