//! Flows as they happen, in the form of the flow log.

use std::{
    fs,
    io::{self, ErrorKind},
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    cli::CliError,
    flows::{FlowLog, Observed, Origin, WallClock},
    kernel::{Roots, clock::monotonic, host::Host},
    policy::AuditEvent,
    sinks::{Settings, Target},
};

/// How long the last lines may take.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The flow log on standard output.
pub(in crate::cli) struct Stream(FlowLog);

impl Stream {
    /// `name` is what messages call it.
    pub(in crate::cli) fn start(name: &'static str) -> Result<Self, CliError> {
        let clock = WallClock::new(monotonic(), SystemTime::now());
        let settings = Settings::new(name, Target::Stdout);
        Ok(Self(FlowLog::start(settings, origin(), clock)?))
    }

    /// Writes what happened to a flow.
    pub(in crate::cli) fn write(&self, observed: &Observed<'_>) {
        self.0.flow(observed);
    }

    /// Writes what policies say of a connection.
    pub(in crate::cli) fn audit(&self, observed: &Observed<'_>, event: &AuditEvent<'_>) {
        self.0.audit(observed, event);
    }

    /// Follows the time of day, and says whether lines can be written.
    pub(in crate::cli) fn check(&self) -> Result<(), CliError> {
        self.0.follow_clock(monotonic(), SystemTime::now());
        match self.0.counts().sink.fault {
            None => Ok(()),
            // The sink goes on trying, which is no use where the reader has gone.
            Some(fault) if fault.contains("Broken pipe") => {
                Err(io::Error::new(ErrorKind::BrokenPipe, fault).into())
            }
            Some(fault) => Err(CliError::failure(fault)),
        }
    }

    /// Waits for the last lines; answers how many were lost.
    pub(in crate::cli) fn finish(&self) -> u64 {
        let unwritten = self.0.flush(monotonic(), LAST_LINES).err();
        let counts = self.0.counts();
        counts.refused + counts.encode_errors + unwritten.map_or(0, |it| it.lines)
    }
}

fn origin() -> Origin {
    let roots = Roots::default();
    let boot_id = fs::read_to_string(roots.proc.join("sys/kernel/random/boot_id"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    Origin {
        node: Host::read(&roots).name,
        boot_id: boot_id.unwrap_or_default().trim().to_owned(),
        run_id: format!(
            "{:x}-{:x}",
            now.unwrap_or_default().as_nanos(),
            process::id()
        ),
    }
}
