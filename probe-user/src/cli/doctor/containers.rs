//! Rows about how containers are told apart and who can name them.

use tokio::runtime::Builder;

use super::{Check, Facts, State};
use crate::{
    identity::resolver::{self, SocketState, probe_sockets},
    kernel::cgroupfs::{Cgroups, Mode},
};

const AREA: &str = "containers";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = vec![cgroups(facts)];
    checks.extend(runtimes(facts));
    checks
}

fn cgroups(facts: &Facts) -> Check {
    match Cgroups::find(&facts.roots.proc) {
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

/// One row per runtime that is there.
fn runtimes(facts: &Facts) -> Vec<Check> {
    let config = resolver::Config::from(&facts.config.runtimes);
    let found = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(probe_sockets(&config)),
        Err(error) => {
            return vec![Check::new(
                AREA,
                "runtimes",
                State::Unknown,
                error.to_string(),
            )];
        }
    };
    let checks: Vec<Check> = found
        .iter()
        .filter(|socket| socket.state != SocketState::Absent)
        .map(|socket| {
            let detail = format!("{}: {}", socket.path.display(), socket.state);
            let (state, remedy) = match &socket.state {
                SocketState::Unreachable(_) => (
                    State::Degraded,
                    Some("containers get short ids; let nodeprobe reach the socket"),
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
