//! The logs of the agent: where they go, and since when nobody wrote them.

mod marks;

use std::{
    fs, io,
    time::{Duration, SystemTime},
};

pub(super) use self::marks::{Became, Marks};
use super::super::RunError;
use crate::{
    config::{Config, FlowFsync, FlowTarget},
    flows::{FlowLog, Gap, Origin, WallClock},
    kernel::{Roots, clock::monotonic},
    model::FeatureState,
    session::Session,
    sinks::{Fsync, Rotation, Settings, Target},
};

/// Probes whose records are in the log.
const PROBES: [&str; 2] = ["flows", "tcp"];

/// Opens a log and says since when nobody watched; `None` where it is off.
pub(in crate::agent) fn open(
    name: &'static str,
    log: &FlowTarget,
    config: &Config,
    session: &Session,
) -> Result<Option<FlowLog>, RunError> {
    let flows = &config.flows;
    let target = match log {
        FlowTarget::Off => return Ok(None),
        FlowTarget::Stdout => Target::Stdout,
        FlowTarget::File(path) => Target::File(path.clone()),
    };
    let (now, wall) = (monotonic(), SystemTime::now());
    // Before it is opened: from then on it is written.
    let from = last_written(&target, now, wall);
    let settings = Settings {
        rotation: Rotation {
            size: flows.log_size,
            age: flows.log_age,
            keep: flows.log_keep as usize,
            compress: flows.log_compress,
        },
        fsync: match flows.log_fsync {
            FlowFsync::Never => Fsync::Never,
            FlowFsync::Rotation => Fsync::OnRotation,
            FlowFsync::After(time) => Fsync::Interval(time),
        },
        ..Settings::new(name, target)
    };
    let roots = Roots::default();
    let id = |name: &str| {
        let path = roots.proc.join("sys/kernel/random").join(name);
        let text = fs::read_to_string(path).map(|text| text.trim().to_owned());
        text.map_err(|source| RunError::System {
            what: "read an id of this boot or run",
            source,
        })
    };
    let origin = Origin {
        node: config.node.clone(),
        boot_id: id("boot_id")?,
        run_id: id("uuid")?,
    };
    let log = FlowLog::start(settings, origin, WallClock::new(now, wall))
        .map_err(|source| refused(name, log, source))?;
    let to = now.saturating_sub(session.started().elapsed());
    let watching = |probe: &&str| {
        session.states().iter().any(|(name, state)| {
            name == probe && matches!(state, FeatureState::On | FeatureState::Degraded(_))
        })
    };
    log.gap(
        now,
        &Gap {
            cause: "restart",
            from: from.min(to),
            to,
            probes: PROBES.into_iter().filter(watching).collect(),
        },
    );
    Ok(Some(log))
}

fn refused(name: &'static str, target: &FlowTarget, source: io::Error) -> RunError {
    RunError::FlowLog {
        name,
        target: target.to_string(),
        source,
    }
}

/// When somebody last wrote the log; where that is not known, nobody did since the host was booted.
fn last_written(target: &Target, now: Duration, wall: SystemTime) -> Duration {
    let Target::File(path) = target else {
        return Duration::ZERO;
    };
    let age = fs::metadata(path)
        .ok()
        .filter(|it| it.is_file() && it.len() > 0)
        .and_then(|it| wall.duration_since(it.modified().ok()?).ok());
    age.map_or(Duration::ZERO, |age| now.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_there_tells_until_when_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows");
        let (now, wall) = (Duration::from_secs(100), SystemTime::now());
        let at = |path: &std::path::Path, wall| last_written(&Target::File(path.into()), now, wall);
        assert_eq!(at(&path, wall), Duration::ZERO);
        fs::write(&path, "{}\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        let since = at(&path, later);
        assert!(since > Duration::from_secs(85) && since <= Duration::from_secs(90));
        assert_eq!(last_written(&Target::Stdout, now, wall), Duration::ZERO);
    }
}
