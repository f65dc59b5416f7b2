//! `nodeprobe policy`: what network policies mean for connections.

mod answer;
mod audit;
mod check;
mod explain;
mod log;
mod manifests;
mod queries;
mod replay;
#[cfg(test)]
pub(super) mod schema;
mod suggest;

use super::{CliError, Kind, args::PolicyCommand};

/// Runs one of the commands.
///
/// # Errors
///
/// If files cannot be read, or `--strict` finds something.
pub(super) fn run(command: &PolicyCommand) -> Result<Kind, CliError> {
    match command {
        PolicyCommand::Audit(args) => audit::run(args),
        PolicyCommand::Explain(args) => explain::run(args),
        PolicyCommand::Replay(args) => replay::run(args),
        PolicyCommand::Check(args) => check::run(args),
        PolicyCommand::Suggest(args) => suggest::run(args),
    }
}
