//! Filters that match nothing, and what they may have meant.

use std::{collections::BTreeSet, fmt, sync::Arc};

use super::{Filter, filter::lies_in};
use crate::{
    model::{Container, Naming},
    select::Pattern,
};

/// Names that a message lists.
const LISTED: usize = 8;
/// Names that are suggested.
const SUGGESTED: usize = 3;
/// Below it two names only share some letters.
const ALIKE: f64 = 0.8;

/// A condition that nothing on this host meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The flag or flags, with their values.
    pub what: String,
    /// What was not found, and what there is.
    pub why: String,
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

impl Filter {
    /// Whether it has a condition on containers, cgroups or processes.
    pub fn is_about_owners(&self) -> bool {
        !(self.containers.is_empty()
            && self.namespaces.is_empty()
            && self.cgroups.is_empty()
            && self.pids.is_empty())
    }

    /// Conditions that none of the known containers and units meets. `exists` says whether there is a cgroup with this path.
    pub fn unmatched(
        &self,
        known: &[Arc<Container>],
        exists: impl Fn(&str) -> bool,
    ) -> Vec<Unmatched> {
        let any = |meets: &dyn Fn(&Container) -> bool| known.iter().any(|it| meets(it));
        let missed = |pattern: &&Pattern| !any(&|it| pattern.matches(it));
        let containers = self.containers.iter().filter(missed);
        let mut unmatched: Vec<Unmatched> = containers.map(|it| container(it, known)).collect();
        let missed = |pattern: &&Pattern| !any(&|it| pattern.matches_text(&it.namespace));
        let namespaces = self.namespaces.iter().filter(missed);
        unmatched.extend(namespaces.map(|it| namespace(it, known)));
        let missed = |path: &&String| !any(&|it| lies_in(&it.cgroup_path, path)) && !exists(path);
        let cgroups = self.cgroups.iter().filter(missed);
        unmatched.extend(cgroups.map(|it| cgroup(it, known)));
        let has_several = [
            !self.containers.is_empty(),
            !self.namespaces.is_empty(),
            !self.cgroups.is_empty(),
        ];
        let has_several = has_several.iter().filter(|it| **it).count() > 1;
        if unmatched.is_empty() && has_several && self.matched(known).is_empty() {
            unmatched.push(self.together());
        }
        unmatched
    }

    /// Names of the known containers and units that meet all conditions but those on processes.
    pub fn matched(&self, known: &[Arc<Container>]) -> BTreeSet<String> {
        let of_owners = |it: &&Arc<Container>| self.admits_owner(Some(it));
        let matched = known.iter().filter(of_owners);
        matched.map(|it| it.display_name()).collect()
    }

    fn together(&self) -> Unmatched {
        let patterns = |flag: &str, patterns: &[Pattern]| -> Vec<String> {
            let flags = patterns.iter().map(|pattern| format!("{flag} {pattern}"));
            flags.collect()
        };
        let mut flags = patterns("--container", &self.containers);
        flags.extend(patterns("--namespace", &self.namespaces));
        flags.extend(self.cgroups.iter().map(|path| format!("--cgroup {path}")));
        Unmatched {
            what: flags.join(", "),
            why: "match something each, and nothing together".into(),
        }
    }
}

fn container(pattern: &Pattern, known: &[Arc<Container>]) -> Unmatched {
    let containers: Vec<_> = known
        .iter()
        .filter(|it| it.runtime.is_container())
        .collect();
    let names: BTreeSet<String> = containers.iter().map(|it| it.display_name()).collect();
    let mut why = "matches no container and no part of the host".to_owned();
    let candidates = known
        .iter()
        .flat_map(|it| [it.name.clone(), it.display_name()]);
    suggest(&mut why, &pattern.to_string(), candidates);
    if names.is_empty() {
        why.push_str("; there is no container on this host");
    } else {
        let number = plural(names.len(), "container");
        why.push_str(&format!("; there {number}: {}", listed(&names)));
    }
    let nameless = containers
        .iter()
        .filter(|it| it.naming != Naming::Named)
        .count();
    if nameless > 0 {
        why.push_str(&format!(
            "; {nameless} of them without a name from a runtime"
        ));
    }
    Unmatched {
        what: format!("--container {pattern}"),
        why,
    }
}

fn namespace(pattern: &Pattern, known: &[Arc<Container>]) -> Unmatched {
    let namespaces = known.iter().map(|it| it.namespace.clone());
    let names: BTreeSet<String> = namespaces.filter(|it| !it.is_empty()).collect();
    let mut why = "matches no namespace".to_owned();
    suggest(&mut why, &pattern.to_string(), names.iter().cloned());
    let number = plural(names.len(), "namespace");
    why.push_str(&format!("; there {number}: {}", listed(&names)));
    Unmatched {
        what: format!("--namespace {pattern}"),
        why,
    }
}

fn cgroup(path: &str, known: &[Arc<Container>]) -> Unmatched {
    let mut why = "is no cgroup of this host".to_owned();
    let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let paths = || known.iter().map(|it| it.cgroup_path.clone());
    let same_name: Vec<String> = paths().filter(|it| last(it) == last(path)).collect();
    if same_name.is_empty() {
        suggest(&mut why, path, paths());
    } else {
        // Whatever is above it.
        mean(&mut why, &same_name);
    }
    Unmatched {
        what: format!("--cgroup {path}"),
        why,
    }
}

/// Adds the names that are most like the given one, if some are.
fn suggest(why: &mut String, given: &str, names: impl IntoIterator<Item = String>) {
    let names: BTreeSet<String> = names.into_iter().collect();
    let score = |name: String| (strsim::jaro_winkler(given, &name), name);
    let mut scored: Vec<(f64, String)> = names
        .into_iter()
        .map(score)
        .filter(|(score, name)| *score >= ALIKE || is_inside(name, given))
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best: Vec<String> = scored.into_iter().map(|(_, name)| name).collect();
    mean(why, &best);
}

/// Adds the first of these names as what may have been meant.
fn mean(why: &mut String, names: &[String]) {
    let best = names.iter().take(SUGGESTED);
    let best: Vec<String> = best.map(|name| format!("`{name}`")).collect();
    if !best.is_empty() {
        why.push_str(&format!("; did you mean {}?", best.join(" or ")));
    }
}

/// Whether what was given is a part of the name, and long enough to mean it.
fn is_inside(name: &str, given: &str) -> bool {
    given.len() > 2 && name.contains(given)
}

/// `is 1 container`, `are 5 containers`.
fn plural(number: usize, what: &str) -> String {
    if number == 1 {
        format!("is 1 {what}")
    } else {
        format!("are {number} {what}s")
    }
}

fn listed(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use probe_common::id::CgroupId;

    use super::*;
    use crate::model::{NoName, Runtime};

    fn known() -> Vec<Arc<Container>> {
        let container = |cgroup: u64, namespace: &str, name: &str, runtime| {
            Arc::new(Container {
                cgroup: CgroupId(cgroup),
                cgroup_path: format!("/pods/{name}"),
                runtime,
                id: None,
                namespace: namespace.to_owned(),
                pod: String::new(),
                pod_uid: String::new(),
                name: name.to_owned(),
                naming: Naming::Named,
            })
        };
        vec![
            container(7, "shop", "web", Runtime::Kubernetes),
            container(8, "data", "postgres", Runtime::Kubernetes),
            container(9, "~host", "nginx.service", Runtime::Systemd),
        ]
    }

    fn filter(containers: &[&str], namespaces: &[&str], cgroups: &[&str]) -> Filter {
        let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text)).collect();
        Filter {
            containers: patterns(containers),
            namespaces: patterns(namespaces),
            cgroups: cgroups.iter().map(|path| (*path).to_owned()).collect(),
            ..Filter::default()
        }
    }

    fn messages(filter: &Filter) -> Vec<String> {
        let unmatched = filter.unmatched(&known(), |path| path == "/pods");
        unmatched.iter().map(Unmatched::to_string).collect()
    }

    #[test]
    fn filters_that_match_say_nothing() {
        for filter in [
            filter(&[], &[], &[]),
            filter(&["web", "post*"], &[], &[]),
            filter(&["nginx.service"], &["~host"], &[]),
            filter(&[], &["shop"], &["/pods"]),
            filter(&[], &[], &["/pods/web", "/"]),
        ] {
            assert_eq!(messages(&filter), [""; 0], "{filter:?}");
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_told_with_near_ones_and_all() {
        assert_eq!(
            messages(&filter(&["postgrse", "web"], &[], &[])),
            [
                "--container postgrse matches no container and no part of the host; did you mean `postgres`?; \
                 there are 2 containers: data/postgres, shop/web"
            ]
        );
        let [nginx] = &messages(&filter(&["nginx"], &[], &[]))[..] else {
            panic!("one message");
        };
        assert!(nginx.contains("did you mean `nginx.service`"), "{nginx}");
        assert_eq!(
            messages(&filter(&[], &["shp"], &[])),
            [
                "--namespace shp matches no namespace; did you mean `shop`?; there are 3 namespaces: data, shop, ~host"
            ]
        );
        assert_eq!(
            messages(&filter(&[], &[], &["/kubepods/web", "/nothing/like/it"])),
            [
                "--cgroup /kubepods/web is no cgroup of this host; did you mean `/pods/web`?",
                "--cgroup /nothing/like/it is no cgroup of this host"
            ]
        );
    }

    #[test]
    fn conditions_that_exclude_each_other_are_told_together() {
        assert_eq!(
            messages(&filter(&["web"], &["data"], &[])),
            ["--container web, --namespace data match something each, and nothing together"]
        );
    }

    #[test]
    fn what_a_filter_matches_is_known_by_name() {
        let matched = filter(&["*"], &["shop", "data"], &[]).matched(&known());
        assert_eq!(
            matched.into_iter().collect::<Vec<_>>(),
            ["data/postgres", "shop/web"]
        );
        assert!(!Filter::default().is_about_owners());
    }

    #[test]
    fn long_lists_are_cut_and_names_that_are_missing_are_told() {
        let mut many: Vec<Arc<Container>> = Vec::new();
        for number in 0..20 {
            let mut container = (*known()[0]).clone();
            container.name = format!("job-{number:02}");
            container.naming = Naming::Unnamed(NoName::NotConfigured);
            many.push(Arc::new(container));
        }
        let unmatched = filter(&["zzz"], &[], &[]).unmatched(&many, |_| false);
        let text = unmatched[0].to_string();
        assert!(text.contains("there are 20 containers: "), "{text}");
        assert!(text.contains("job-07, …"), "{text}");
        assert!(text.contains("20 of them without a name"), "{text}");
    }
}
