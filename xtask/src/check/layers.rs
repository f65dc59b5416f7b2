//! Who may use whom: `rules.toml`, which follows the table of the architecture.
use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{Source, imports};

/// Modules of this folder are in layers.
const LAYERED: &str = "probe-user/src/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    layers: Vec<Vec<String>>,
    unlayered: Vec<String>,
    never: Vec<Never>,
}

/// Paths that a folder must not use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Never {
    who: String,
    uses: Vec<String>,
    /// A path that is fine all the same.
    but: Option<String>,
    because: String,
}

impl Rules {
    pub(super) fn load() -> Result<Self> {
        toml::from_str(include_str!("rules.toml")).context("understand xtask/src/check/rules.toml")
    }

    pub(super) fn faults(&self, source: &Source) -> Vec<String> {
        let mut faults = Vec::from_iter(self.without_layer(&source.path));
        faults.extend(
            imports::paths(&source.text)
                .into_iter()
                .filter_map(|(line, path)| {
                    let why = self
                        .upwards(&source.path, &path)
                        .or_else(|| self.forbidden(&source.path, &path))?;
                    Some(format!("{}:{line}: `{path}`: {why}", source.path))
                }),
        );
        faults.dedup();
        faults
    }

    /// A module that nobody has given a place would be free to use everything.
    fn without_layer(&self, file: &str) -> Option<String> {
        let module = top_module(file)?;
        let placed = self.layer(module).is_some() || self.unlayered.iter().any(|it| it == module);
        (!placed).then(|| format!("{file}: `{module}` has no layer in xtask/src/check/rules.toml"))
    }

    fn upwards(&self, file: &str, path: &str) -> Option<String> {
        let user = top_module(file)?;
        let used = path.strip_prefix("crate::")?.split(':').next()?;
        let (above, below) = (self.layer(user)?, self.layer(used)?);
        (user != used && below <= above)
            .then(|| format!("`{user}` stands below `{used}`, or beside it"))
    }

    fn layer(&self, module: &str) -> Option<usize> {
        self.layers
            .iter()
            .position(|layer| layer.iter().any(|name| name == module))
    }

    fn forbidden(&self, file: &str, path: &str) -> Option<String> {
        self.never
            .iter()
            .find(|rule| rule.covers(file) && rule.names(path))
            .map(|rule| rule.because.clone())
    }
}

/// The module that a file belongs to, if it is in layers.
fn top_module(file: &str) -> Option<&str> {
    file.strip_prefix(LAYERED)?.split(['/', '.']).next()
}

impl Never {
    fn covers(&self, file: &str) -> bool {
        file.strip_prefix(&self.who)
            .is_some_and(|rest| rest.starts_with(['/', '.']))
    }

    fn names(&self, path: &str) -> bool {
        let within = |prefix: &String| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.uses.iter().any(within) && !self.but.as_ref().is_some_and(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        Rules::load()
            .unwrap()
            .faults(&Source {
                path: path.into(),
                text: text.into(),
            })
            .len()
    }

    #[test]
    fn a_module_uses_what_stands_below_it() {
        assert_eq!(
            faults(
                "probe-user/src/agent.rs",
                "use crate::{http, probes::Probe};"
            ),
            0
        );
        assert_eq!(
            faults(
                "probe-user/src/metrics/registry.rs",
                "use crate::{limits, metrics::Desc};"
            ),
            0
        );
    }

    #[test]
    fn a_module_that_uses_what_stands_above_or_beside_it_is_a_fault() {
        assert_eq!(
            faults("probe-user/src/kernel/btf.rs", "use crate::agent::Agent;"),
            1
        );
        assert_eq!(faults("probe-user/src/metrics.rs", "use crate::config;"), 1);
    }

    #[test]
    fn a_module_without_a_layer_is_a_fault() {
        assert_eq!(faults("probe-user/src/weather/table.rs", ""), 1);
        assert_eq!(faults("probe-user/src/lib.rs", "pub mod http;"), 0);
    }

    #[test]
    fn a_forbidden_path_is_a_fault_with_its_exception() {
        assert_eq!(faults("probe-user/src/cli/top.rs", "use aya::Ebpf;"), 1);
        assert_eq!(faults("probe-user/src/probes.rs", "use aya::Ebpf;"), 0);
        assert_eq!(
            faults("probe-common/src/id.rs", "unsafe impl aya::Pod for X {}"),
            0
        );
        assert_eq!(faults("probe-common/src/id.rs", "use aya::Ebpf;"), 1);
    }
}
