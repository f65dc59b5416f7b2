//! What keeps containers from having their names, for people: in `/readyz`, the log and the notes of the tools.

use std::collections::BTreeSet;

use super::Session;
use crate::{
    identity::{Identities, Reach},
    model::Runtime,
};

impl Session {
    /// Why most of the host's cgroups cannot be told apart, where that is so.
    pub fn narrow_view(&self) -> Option<String> {
        self.cgroups.subtree.as_ref().map(|subtree| {
            format!(
                "only cgroups below {subtree} can be told apart, all others are ~unknown: run in the host's cgroup namespace \
                 (--cgroupns=host, or the host's /sys/fs/cgroup mounted)"
            )
        })
    }

    /// What is to be said of names, one line each.
    pub fn notes(&self) -> Vec<String> {
        self.narrow_view()
            .into_iter()
            .chain(naming_notes(&self.identities))
            .collect()
    }
}

/// Containers without a name, and the runtimes that do not respond.
fn naming_notes(identities: &Identities) -> Vec<String> {
    let unnamed = identities.unnamed();
    let mut notes: Vec<String> = unnamed
        .iter()
        .map(|((runtime, reason), count)| {
            let containers = if *count == 1 {
                "container has"
            } else {
                "containers have"
            };
            format!("{count} {containers} no name (runtime {runtime}): {reason}")
        })
        .collect();
    let lacking: BTreeSet<Runtime> = unnamed.keys().map(|(runtime, _)| *runtime).collect();
    for state in identities.runtimes() {
        let (runtime, path) = (state.runtime, state.path.display());
        match state.reach {
            Reach::Fails(error) => notes.push(format!("runtime {runtime} at {path}: {error}")),
            Reach::Absent if lacking.contains(&runtime) => {
                notes.push(format!("runtime {runtime} at {path}: not there"));
            }
            Reach::Absent | Reach::Responds => {}
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use probe_common::id::CgroupId;

    use super::*;
    use crate::identity::{Limits, RuntimeState};

    #[test]
    fn containers_without_a_name_are_noted_with_the_runtime_that_is_not_there() {
        let identities = Identities::new(Limits {
            deadline: Duration::ZERO,
            ..Limits::default()
        });
        assert_eq!(naming_notes(&identities), [""; 0]);
        let state = |path: &str, reach| RuntimeState {
            runtime: Runtime::Docker,
            path: path.into(),
            reach,
        };
        let podman = RuntimeState {
            runtime: Runtime::Podman,
            ..state("/run/podman.sock", Reach::Absent)
        };
        identities.set_runtimes(vec![
            state("/run/docker.sock", Reach::Absent),
            state(
                "/run/own.sock",
                Reach::Fails("did not answer in time".into()),
            ),
            podman,
        ]);
        assert_eq!(
            naming_notes(&identities).len(),
            1,
            "an absent runtime is noted where it lacks"
        );
        let path = format!("/docker/{}", "a1".repeat(32));
        identities.appeared(CgroupId(1), &path, Instant::now());
        identities.expire(Instant::now());
        assert_eq!(
            naming_notes(&identities),
            [
                "1 container has no name (runtime docker): the runtime did not respond in time",
                "runtime docker at /run/docker.sock: not there",
                "runtime docker at /run/own.sock: did not answer in time",
            ]
        );
    }
}
