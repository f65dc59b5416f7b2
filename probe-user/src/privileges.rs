//! Capabilities: which feature needs which and why, which are missing, and letting go of them after attach.

mod drop;
mod sets;

use rustix::thread::CapabilitySet;

pub use self::{
    drop::{Apart, DropError, drop_after_attach, drop_on_this_thread},
    sets::{effective, names},
};

/// A part of nodeprobe that needs privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Loading and attaching the programs of all probes.
    Probes,
    /// Lifting the limit on locked memory before kernel 5.11.
    Memlock,
    /// Having the kernel count what programs cost, `program_stats = true`.
    RunStatistics,
    /// Asking the host's connection tracking, `flows.translation`.
    Translation,
    /// Asking that of every network namespace, `flows.translation = "all"`.
    TranslationEverywhere,
}

/// What a task needs, and why.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// The task.
    pub task: Task,
    /// What it is, for tables.
    pub what: &'static str,
    /// The capabilities that it needs, all of them.
    pub capabilities: CapabilitySet,
    /// Why the kernel asks for them.
    pub why: &'static str,
    /// Whether there is no nodeprobe without it.
    pub required: bool,
}

/// The capability table of README and `doctor`.
pub const NEEDS: [Need; 5] = [
    Need {
        task: Task::Probes,
        what: "load and attach probes",
        capabilities: CapabilitySet::BPF.union(CapabilitySet::PERFMON),
        why: "to load programs and to read kernel memory",
        required: true,
    },
    Need {
        task: Task::Memlock,
        what: "lift memory limit",
        capabilities: CapabilitySet::SYS_RESOURCE,
        why: "maps count against it before kernel 5.11",
        required: false,
    },
    Need {
        task: Task::RunStatistics,
        what: "run statistics",
        capabilities: CapabilitySet::SYS_ADMIN,
        why: "for `program_stats` only",
        required: false,
    },
    Need {
        task: Task::Translation,
        what: "translated addresses",
        capabilities: CapabilitySet::NET_ADMIN,
        why: "to ask connection tracking, all the time",
        required: false,
    },
    Need {
        task: Task::TranslationEverywhere,
        what: "translated in containers",
        capabilities: CapabilitySet::NET_ADMIN
            .union(CapabilitySet::SYS_ADMIN)
            .union(CapabilitySet::SYS_PTRACE),
        why: "to enter network namespaces, all the time; for `flows.translation = \"all\"` only",
        required: false,
    },
];

impl Need {
    /// The row of a task.
    pub fn of(task: Task) -> &'static Self {
        match task {
            Task::Probes => &NEEDS[0],
            Task::Memlock => &NEEDS[1],
            Task::RunStatistics => &NEEDS[2],
            Task::Translation => &NEEDS[3],
            Task::TranslationEverywhere => &NEEDS[4],
        }
    }

    /// What of it is not in `held`. `CAP_SYS_ADMIN` includes `CAP_BPF` and `CAP_PERFMON`.
    pub fn missing_from(&self, held: CapabilitySet) -> CapabilitySet {
        let included = if held.contains(CapabilitySet::SYS_ADMIN) {
            CapabilitySet::BPF | CapabilitySet::PERFMON
        } else {
            CapabilitySet::empty()
        };
        self.capabilities.difference(held | included)
    }
}

/// A task lacks capabilities.
#[derive(Debug, thiserror::Error)]
#[error("missing capabilities to {what}: {}", names(*missing))]
pub struct Missing {
    /// What cannot be done.
    pub what: &'static str,
    /// What it lacks.
    pub missing: CapabilitySet,
}

impl Missing {
    /// What the operator can do.
    pub fn remedy(&self) -> String {
        format!(
            "run as root, or grant {} to the program or its container",
            names(self.missing)
        )
    }
}

/// Checks that the calling thread can do all of the tasks.
///
/// # Errors
///
/// [`Missing`] for the first task that lacks something.
pub fn check(tasks: &[Task]) -> Result<(), Missing> {
    check_against(tasks, effective())
}

fn check_against(tasks: &[Task], held: CapabilitySet) -> Result<(), Missing> {
    for need in tasks.iter().map(|task| Need::of(*task)) {
        let missing = need.missing_from(held);
        if !missing.is_empty() {
            return Err(Missing {
                what: need.what,
                missing,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_finds_its_own_row() {
        for need in &NEEDS {
            assert_eq!(Need::of(need.task).what, need.what);
        }
    }

    #[test]
    fn sys_admin_stands_in_for_the_capabilities_split_from_it() {
        assert!(check_against(&[Task::Probes], CapabilitySet::SYS_ADMIN).is_ok());
        let both = CapabilitySet::BPF | CapabilitySet::PERFMON;
        assert!(check_against(&[Task::Probes], both).is_ok());
    }

    #[test]
    fn what_is_missing_is_named_with_a_remedy() {
        let missing = check_against(&[Task::Probes], CapabilitySet::BPF).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "missing capabilities to load and attach probes: CAP_PERFMON"
        );
        assert!(missing.remedy().contains("grant CAP_PERFMON"));
    }
}
