//! What the filter flags of a tool name, and whether that is there.

use super::Tool;
use crate::{
    cli::{CliError, args::CommonArgs},
    identity::{Identities, paths},
    kernel::{
        Roots, cgroup_path,
        process::{self, ProcessId},
    },
    report::{Filter, Unmatched},
    select::{CgroupPattern, Pattern, Rules},
};

/// Names that a note lists.
const LISTED: usize = 4;

/// The processes that `--pid` names.
#[derive(Debug, Default)]
pub(in crate::cli) struct Processes {
    ids: Vec<u32>,
    missing: Vec<Unmatched>,
    notes: Vec<String>,
}

impl Processes {
    /// Looks the ids up. Call it with all privileges: others may not see the processes of everybody.
    ///
    /// # Errors
    ///
    /// If the ids that this program sees are not those that the kernel counts by.
    pub(in crate::cli) fn find(ids: &[u32]) -> Result<Self, CliError> {
        let proc = Roots::default().proc;
        if !ids.is_empty() && process::sees_other_ids(&proc) {
            let message = "--pid: this program runs in a PID namespace of its own, where processes have other ids";
            return Err(CliError::unsupported(message).with_remedy(
                "run it in the PID namespace of the host (`docker run --pid=host`, `hostPID: true`), or use --container or --cgroup",
            ));
        }
        let mut processes = Self::default();
        for id in ids {
            processes.enter(*id, process::find(&proc, *id));
        }
        Ok(processes)
    }

    fn enter(&mut self, id: u32, found: ProcessId) {
        let process = match found {
            ProcessId::Process => id,
            ProcessId::Thread { of, name } => {
                let note = format!(
                    "--pid {id} is a thread of process {of} ({name}), which is shown with all its threads"
                );
                self.notes.push(note);
                of
            }
            ProcessId::Missing { inner } => {
                let mut why = "is no process of this host".to_owned();
                if !inner.is_empty() {
                    let ids: Vec<String> = inner.iter().map(u32::to_string).collect();
                    let ids = ids.join(" or ");
                    why.push_str(&format!(
                        "; did you mean {ids}, which has this id in a container?"
                    ));
                }
                self.missing.push(Unmatched {
                    what: format!("--pid {id}"),
                    why,
                });
                id
            }
        };
        if !self.ids.contains(&process) {
            self.ids.push(process);
        }
    }

    /// Whether some were named.
    pub(in crate::cli) fn are_named(&self) -> bool {
        !self.ids.is_empty()
    }
}

impl Tool {
    /// Conditions from the arguments. Reports say how they were understood and what is not there.
    pub(in crate::cli) fn filter(&mut self, args: &CommonArgs, processes: Processes) -> Filter {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        let mount = &self.session.cgroups().mount;
        let from_root = |given: &String| cgroup_path::from_root(mount, given);
        let cgroups = args.cgroup.iter().map(from_root).collect();
        let Processes {
            ids,
            missing,
            notes,
        } = processes;
        self.missing = missing;
        self.notes.extend(notes);
        Filter {
            containers: patterns(&args.container),
            namespaces: patterns(&args.namespace),
            cgroups,
            pids: ids,
            flows: Rules::default(),
        }
    }

    /// Patterns of cgroups that are told apart: those of the configuration, and cgroups of the arguments that are inside of a unit or a
    /// container, which would otherwise be one with it.
    pub(super) fn told_apart(
        &self,
        args: &CommonArgs,
        mut patterns: Vec<CgroupPattern>,
    ) -> Vec<CgroupPattern> {
        let mount = &self.session.cgroups().mount;
        for given in &args.cgroup {
            let path = cgroup_path::from_root(mount, given);
            let is_inside = paths::parse_with(&path, &patterns).path != path;
            if is_inside && let Ok(pattern) = path.parse() {
                patterns.push(pattern);
            }
        }
        patterns
    }
}

/// What became of the filters until now.
pub(super) struct Outcome {
    /// Conditions that nothing meets.
    pub(super) unmatched: Vec<Unmatched>,
    /// What they match, where there are some and each of them matches something.
    pub(super) matched: Option<String>,
}

impl Outcome {
    /// Compares a filter with what is known.
    pub(super) fn of(tool: &Tool, filter: &Filter, identities: &Identities) -> Self {
        let mut outcome = Self {
            unmatched: Vec::new(),
            matched: None,
        };
        if !filter.is_about_owners() {
            return outcome;
        }
        let known = identities.known();
        let mount = &tool.session.cgroups().mount;
        let exists = |path: &str| mount.join(path.trim_start_matches('/')).is_dir();
        outcome.unmatched = filter.unmatched(&known, exists);
        outcome.unmatched.extend(tool.missing.iter().cloned());
        if outcome.unmatched.is_empty() {
            outcome.matched = Some(matched(
                filter,
                &filter.matched(&known).into_iter().collect::<Vec<_>>(),
            ));
        }
        outcome
    }

    /// All that a report says beside its rows.
    pub(super) fn notes(&self, tool: &Tool) -> Vec<String> {
        let mut notes = tool.notes.clone();
        notes.extend(tool.session.notes());
        notes.extend(self.unmatched.iter().map(Unmatched::to_string));
        notes
    }
}

/// `process 4711`, or `web, db and 3 more`.
fn matched(filter: &Filter, names: &[String]) -> String {
    if !filter.pids.is_empty() {
        let ids: Vec<String> = filter.pids.iter().map(u32::to_string).collect();
        return format!("process {}", ids.join(", "));
    }
    if names.is_empty() {
        return format!("cgroup {}", filter.cgroups.join(", "));
    }
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stands_for_its_process_and_a_note_says_so() {
        let mut processes = Processes::default();
        processes.enter(
            4711,
            ProcessId::Thread {
                of: 4700,
                name: "postgres".into(),
            },
        );
        processes.enter(4700, ProcessId::Process);
        assert_eq!(processes.ids, [4700]);
        assert!(processes.missing.is_empty());
        let [note] = &processes.notes[..] else {
            panic!("{:?}", processes.notes)
        };
        assert!(note.contains("thread of process 4700 (postgres)"), "{note}");
    }

    #[test]
    fn a_process_that_is_gone_is_told_with_those_of_that_id_in_containers() {
        let mut processes = Processes::default();
        processes.enter(57, ProcessId::Missing { inner: vec![4700] });
        assert!(
            processes.are_named(),
            "a filter that matches nothing is no missing filter"
        );
        assert_eq!(
            processes.missing[0].to_string(),
            "--pid 57 is no process of this host; did you mean 4700, which has this id in a container?"
        );
    }

    #[test]
    fn what_filters_match_is_short() {
        let names: Vec<String> = (0..6).map(|n| format!("c{n}")).collect();
        let filter = Filter::default();
        assert_eq!(matched(&filter, &names[..2]), "c0, c1");
        assert_eq!(matched(&filter, &names), "c0, c1, c2, c3 and 2 more");
        let by_pid = Filter {
            pids: vec![7],
            ..Filter::default()
        };
        assert_eq!(matched(&by_pid, &names), "process 7");
    }
}
