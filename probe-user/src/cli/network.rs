//! `nodeprobe flows`, `nodeprobe tcp` and `nodeprobe dns`: who talks with whom, and what goes wrong.

mod dns;
mod flows;
mod follow;
mod held;
mod log;
mod tcp;

use std::time::Duration;

use super::args::{CommonArgs, OutputFormat};
use crate::{flows::TIMEOUT, session::FlowSettings};

pub(super) use self::{
    dns::run as dns, flows::run as flows, held::Held, log::Stream, tcp::run as tcp,
};

/// After how long without a packet a flow of datagrams ends.
const IDLE: Duration = Duration::from_secs(30);
/// How often a flow that goes on is told of in a stream.
const PERIOD: Duration = Duration::from_secs(60);
/// How often the tables are read.
const SWEEP: Duration = Duration::from_secs(1);

/// How flows are followed for these arguments. A report every so often has what was exchanged until then, so every reading of the
/// tables is told.
pub(super) fn settings(args: &CommonArgs) -> FlowSettings {
    let is_stream = args.output == OutputFormat::Ndjson;
    FlowSettings {
        sweep: SWEEP,
        period: match args.interval() {
            Some(interval) if is_stream => interval.min(SWEEP),
            Some(_) => Duration::ZERO,
            None => PERIOD,
        },
        idle: IDLE,
        lookup_timeout: TIMEOUT,
    }
}
