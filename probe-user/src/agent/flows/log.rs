//! The logs of the agent: where they go, and the time before this run that they do not cover.

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
    sinks::{self, Fsync, Rotation, Settings, Target},
};

/// Probes whose records are in the log.
const PROBES: [&str; 2] = ["flows", "tcp"];

/// Opens a log and reports the time that it does not cover: since an earlier run wrote it, or else since the host was
/// booted. `None` where it is off.
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
    let written = last_written(&target, now, wall);
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
            cause: cause(written),
            from: written.unwrap_or_default().min(to),
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

/// Why the time before this run is missing: an earlier run has ended, or this is the first one.
fn cause(last_written: Option<Duration>) -> &'static str {
    match last_written {
        Some(_) => "restart",
        None => "attach",
    }
}

/// When an earlier run last wrote the log, to its current file or to one that was put aside. `None` where there is no
/// earlier run, or where nothing is known of it, as for standard output.
fn last_written(target: &Target, now: Duration, wall: SystemTime) -> Option<Duration> {
    let Target::File(path) = target else {
        return None;
    };
    // A folder that cannot be listed may still have a file that can be opened.
    let files = sinks::segments(path).unwrap_or_else(|_| vec![path.clone()]);
    let written = files.into_iter().filter_map(|path| {
        let file = fs::metadata(path).ok()?;
        let written = file.is_file() && file.len() > 0;
        written.then(|| file.modified().ok()).flatten()
    });
    let age = wall.duration_since(written.max()?).unwrap_or_default();
    Some(now.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &std::path::Path) -> Target {
        Target::File(path.into())
    }

    #[test]
    fn the_first_run_of_a_log_is_no_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows");
        let (now, wall) = (Duration::from_secs(100), SystemTime::now());
        assert_eq!(cause(last_written(&file(&path), now, wall)), "attach");
        // A file that was made for the agent, and that no run has written to.
        fs::write(&path, "").unwrap();
        assert_eq!(cause(last_written(&file(&path), now, wall)), "attach");
        assert_eq!(cause(last_written(&Target::Stdout, now, wall)), "attach");
        assert_eq!(
            cause(last_written(&file("/dev/null".as_ref()), now, wall)),
            "attach"
        );
        fs::write(&path, "{}\n").unwrap();
        assert_eq!(cause(last_written(&file(&path), now, wall)), "restart");
    }

    #[test]
    fn a_log_that_exists_tells_until_when_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows");
        let now = Duration::from_secs(100);
        let about_ninety = |written: Option<Duration>| {
            written.is_some_and(|it| it > Duration::from_secs(85) && it <= Duration::from_secs(90))
        };
        fs::write(&path, "{}\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(10);
        assert!(about_ninety(last_written(&file(&path), now, later)));
        // The agent ended right after it put the file aside.
        fs::rename(&path, directory.path().join("flows.20260102T030405678Z")).unwrap();
        assert!(about_ninety(last_written(&file(&path), now, later)));
        // A clock that was set back: the log is as new as can be, and not older than everything.
        let earlier = SystemTime::now() - Duration::from_secs(1000);
        assert_eq!(last_written(&file(&path), now, earlier), Some(now));
    }
}
