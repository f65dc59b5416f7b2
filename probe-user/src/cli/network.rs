//! `nodeprobe flows`, `nodeprobe tcp` and `nodeprobe dns`: who talks with whom, and what goes wrong.

mod dns;
mod flows;
mod held;
mod log;
mod tcp;

use std::time::Duration;

use super::{CliError, args::CommonArgs};
use crate::session::FlowSettings;

pub(super) use self::{
    dns::run as dns, flows::run as flows, held::Held, log::Stream, tcp::run as tcp,
};

/// After how long without a packet a flow of datagrams ends.
const IDLE: Duration = Duration::from_secs(30);
/// How often a flow that goes on is told of in a stream.
const PERIOD: Duration = Duration::from_secs(60);
/// How often the tables are read.
const SWEEP: Duration = Duration::from_secs(1);

/// How flows are followed for these arguments. A table every so often wants to know what was exchanged until then.
pub(super) fn settings(args: &CommonArgs) -> FlowSettings {
    FlowSettings {
        sweep: SWEEP,
        period: args.interval.map_or(PERIOD, |interval| interval.min(SWEEP)),
        idle: IDLE,
    }
}

/// Refuses `--pid`, where the kernel side adds up by container.
pub(super) fn refuse_pid(args: &CommonArgs, what: &str) -> Result<(), CliError> {
    if args.pid.is_some() {
        let message = format!("--pid: {what} are counted by container and not by process");
        return Err(CliError::usage(message)
            .with_remedy("`nodeprobe flows --pid` shows the flows of a process"));
    }
    Ok(())
}
