//! Flows as they happen, in the form of the flow log.

use std::{
    fs,
    io::{self, ErrorKind},
    process,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use probe_common::id::CgroupId;

use crate::{
    cli::CliError,
    flows::{FlowLog, Observed, Origin, Owner, WallClock},
    identity::Identities,
    kernel::{Roots, clock::monotonic, host::Host},
    model::OwnerId,
    session::FlowReport,
    sinks::{Settings, Target},
};

/// How long the last lines may take.
const LAST_LINES: Duration = Duration::from_secs(5);

/// The flow log on standard output.
pub(super) struct Stream(FlowLog);

impl Stream {
    pub(super) fn start() -> Result<Self, CliError> {
        let clock = WallClock::new(monotonic(), SystemTime::now());
        let settings = Settings::new("flows", Target::Stdout);
        Ok(Self(FlowLog::start(settings, origin(), clock)?))
    }

    /// Writes what happened to a flow at the monotonic time `at`.
    pub(super) fn write(&self, report: &FlowReport, at: Duration, identities: &Identities) {
        let find = |cgroup: CgroupId| identities.lookup(CgroupId(OwnerId::of_socket(cgroup.0).0));
        let local = find(report.flow.cgroup);
        let peer = report.peer.as_ref();
        let remote = peer.and_then(|peer| Some((find(peer.cgroup)?, peer.sureness)));
        self.0.flow(&Observed {
            event: report.event,
            flow: &report.flow,
            interval: report.interval,
            dropped: report.dropped.as_ref(),
            since: report.since,
            at,
            local: local.as_deref(),
            remote: remote.as_ref().map(|(container, sureness)| Owner {
                container,
                sureness: *sureness,
            }),
            nat: report.nat,
            complete: None,
        });
    }

    /// Follows the time of day, and says whether lines can be written.
    pub(super) fn check(&self) -> Result<(), CliError> {
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
    pub(super) fn finish(&self) -> u64 {
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
