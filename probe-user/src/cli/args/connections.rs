//! Flags of `nodeprobe tcp` that are about single connections.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// Flags that need one of the group `single` beside them, `--connections` or `--follow`: help and errors say so.
#[derive(Clone, Debug, Default)]
pub struct OfConnections<T>(pub T);

/// Where help lists them.
const HEADING: &str = "With --connections or --follow";

impl<T: Args> Args for OfConnections<T> {
    fn augment_args(command: Command) -> Command {
        augment(command, T::augment_args(Command::new("")))
    }

    fn augment_args_for_update(command: Command) -> Command {
        augment(command, T::augment_args_for_update(Command::new("")))
    }
}

impl<T: Args> FromArgMatches for OfConnections<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

fn augment(command: Command, inner: Command) -> Command {
    let args = inner.get_arguments().cloned();
    command.args(args.map(|arg| arg.requires("single").help_heading(HEADING)))
}
