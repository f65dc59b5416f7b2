//! Rows about how containers are told apart and who can name them.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use tokio::runtime::Builder;

use super::{Check, Facts, State};
use crate::{
    identity::{
        Limits,
        paths::parse,
        resolver::{self, RuntimeSocket, SocketState, probe_sockets},
    },
    kernel::{
        capabilities_for_map_reads,
        cgroupfs::{CgroupfsError, Cgroups, Mode, scan},
    },
    logs::chain,
    model::Runtime,
    privileges::drop_on_this_thread,
};

const AREA: &str = "containers";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let cgroups = Cgroups::find(&facts.roots.proc);
    let mut checks = vec![hierarchy(&cgroups)];
    let found = match as_the_agent(|| ask(facts)) {
        Ok(found) => found,
        Err(why) => {
            checks.push(Check::new(AREA, "runtimes", State::Unknown, why));
            return checks;
        }
    };
    checks.extend(runtimes(&found));
    if let Ok(cgroups) = &cgroups {
        let walk = scan(cgroups, Limits::default().live);
        checks.extend(nameless(
            walk.found.iter().map(|(_, path)| path.as_str()),
            &found,
        ));
    }
    checks
}

/// A row for each kind of container that no runtime can name, because none that could responds.
fn nameless<'a>(cgroups: impl Iterator<Item = &'a str>, found: &[RuntimeSocket]) -> Vec<Check> {
    let responds = |runtime: &Runtime| {
        let mut sockets = found.iter().filter(|socket| socket.runtime == *runtime);
        sockets.any(|socket| matches!(socket.state, SocketState::Reachable(_)))
    };
    let mut lacking = BTreeMap::<Runtime, BTreeSet<String>>::new();
    for parsed in cgroups.map(parse) {
        let question = parsed.question.filter(|question| !question.guess);
        if question.is_some_and(|it| !it.runtimes.iter().any(responds)) {
            lacking
                .entry(parsed.runtime)
                .or_default()
                .insert(parsed.path);
        }
    }
    let row = |(runtime, paths): (Runtime, BTreeSet<String>)| {
        let detail = format!(
            "{} containers have no name: no runtime that could know them responds",
            paths.len()
        );
        Check::new(AREA, format!("names ({runtime})"), State::Degraded, detail).with_remedy(
            "start the runtime, or name its socket: runtimes.* of the configuration, --runtime of the tools",
        )
    };
    lacking.into_iter().map(row).collect()
}

fn hierarchy(cgroups: &Result<Cgroups, CgroupfsError>) -> Check {
    match cgroups {
        Ok(cgroups) => {
            let check = |state| Check::new(AREA, "control groups", state, cgroups.describe());
            match (&cgroups.mode, &cgroups.subtree) {
                (_, Some(_)) => check(State::Degraded)
                    .with_remedy("run in the host's cgroup namespace, so that all containers show"),
                (Mode::V1 { .. }, _) => check(State::Degraded).with_remedy(
                    "boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2 beside version 1",
                ),
                (Mode::V2 | Mode::Hybrid, None) => check(State::Ok),
            }
        }
        Err(error) => Check::new(AREA, "control groups", State::Missing, error.to_string())
            .with_remedy("mount /proc and a control group hierarchy, or run on the host itself"),
    }
}

/// Runs something with what is left of the privileges when the agent asks for names. They belong to a thread.
fn as_the_agent<T: Send>(what: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            drop_on_this_thread(capabilities_for_map_reads()).map_err(|error| chain(&error))?;
            what()
        });
        asked
            .join()
            .unwrap_or_else(|_panic| Err("the question has panicked; please report it".into()))
    })
}

fn ask(facts: &Facts) -> Result<Vec<RuntimeSocket>, String> {
    let config = resolver::Config::from(&facts.config.runtimes);
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    Ok(runtime.block_on(probe_sockets(&config)))
}

/// One row per runtime that is there.
fn runtimes(found: &[RuntimeSocket]) -> Vec<Check> {
    let checks: Vec<Check> = found
        .iter()
        .filter(|socket| socket.state != SocketState::Absent)
        .map(|socket| {
            let detail = format!("{}: {}", socket.path.display(), socket.state);
            let (state, remedy) = match &socket.state {
                SocketState::Unreachable(_) => (
                    State::Degraded,
                    Some(
                        "containers get short ids; run as the owner, or in a group that may read and write it: \
                         capabilities are dropped by then",
                    ),
                ),
                SocketState::Reachable(_) | SocketState::Absent => (State::Ok, None),
            };
            let check = Check::new(AREA, socket.runtime.name(), state, detail);
            match remedy {
                Some(remedy) => check.with_remedy(remedy),
                None => check,
            }
        })
        .collect();
    if checks.is_empty() {
        let detail = "no runtime found; containers are named by their cgroup";
        return vec![Check::new(AREA, "runtimes", State::Ok, detail)];
    }
    checks
}

#[cfg(test)]
mod tests {
    use rustix::thread::CapabilitySet;

    use super::*;
    use crate::privileges;

    #[test]
    fn containers_whose_runtime_does_not_respond_are_counted() {
        let id = |digit: &str| digit.repeat(64);
        let paths = [
            format!("/docker/{}", id("1")),
            format!("/docker/{}/sub", id("1")),
            format!("/docker/{}", id("2")),
            format!("/libpod_parent/libpod-{}", id("3")),
            "/default/web".to_owned(),
            "/system.slice/a.service".to_owned(),
        ];
        let podman = RuntimeSocket {
            runtime: Runtime::Podman,
            path: "/run/podman.sock".into(),
            state: SocketState::Reachable("5".into()),
        };
        let docker = RuntimeSocket {
            runtime: Runtime::Docker,
            path: "/run/docker.sock".into(),
            state: SocketState::Absent,
        };
        let rows = nameless(paths.iter().map(String::as_str), &[podman, docker]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(
            (rows[0].name.as_str(), rows[0].state),
            ("names (docker)", State::Degraded)
        );
        assert!(rows[0].detail.starts_with("2 containers"), "{rows:?}");
    }

    #[test]
    fn runtimes_are_asked_with_the_privileges_that_the_agent_has_left() {
        let before = privileges::effective();
        let left = as_the_agent(|| Ok(privileges::effective())).unwrap();
        assert!(CapabilitySet::BPF.contains(left), "{left:?}");
        assert_eq!(privileges::effective(), before);
    }
}
