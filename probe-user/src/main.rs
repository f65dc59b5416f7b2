//! nodeprobe: eBPF host observability probe.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use probe_user::cli::{self, Cli, Kind};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version are errors to clap, and go to standard output.
            let kind = if asked.use_stderr() {
                Kind::Usage
            } else {
                Kind::Fine
            };
            // Nobody is left to be told that this failed.
            asked.print().ok();
            return kind.into();
        }
    };
    match cli::run(cli) {
        Ok(kind) => kind.into(),
        Err(error) if error.is_broken_pipe() => Kind::Fine.into(),
        Err(error) => {
            io::stderr().write_all(error.report().as_bytes()).ok();
            error.kind.into()
        }
    }
}
