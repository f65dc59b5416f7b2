//! `tests/kernels.toml`: the kernels there are, and what it takes to boot them.
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::workspace;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Catalog {
    pub(crate) tools: ToolPackages,
    pub(crate) guest: Settings,
    #[serde(rename = "kernel")]
    pub(crate) kernels: Vec<Entry>,
}

/// Packages of the host's side of a virtual machine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolPackages {
    pub(crate) suites: Vec<String>,
    pub(crate) packages: Vec<String>,
}

/// What every guest gets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) memory_mib: u32,
    pub(crate) cpus: u32,
    pub(crate) modules: Vec<String>,
    /// Of this machine, for tests that run them.
    pub(crate) programs: Vec<String>,
}

/// One kernel.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) suites: Vec<String>,
    pub(crate) package: String,
}

impl Catalog {
    pub(crate) fn load() -> Result<Self> {
        let path = workspace::root().join("tests/kernels.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("understand {}", path.display()))
    }

    /// The kernels asked for, by name or suite, each once; without a wish all.
    pub(crate) fn select(&self, wanted: &[String]) -> Result<Vec<&Entry>> {
        for name in wanted {
            if !self.kernels.iter().any(|entry| entry.is(name)) {
                let known: Vec<_> = self
                    .kernels
                    .iter()
                    .map(|entry| entry.name.as_str())
                    .collect();
                bail!("no kernel `{name}`; there are {}", known.join(", "));
            }
        }
        let chosen = |entry: &&Entry| wanted.is_empty() || wanted.iter().any(|name| entry.is(name));
        Ok(self.kernels.iter().filter(chosen).collect())
    }
}

impl Entry {
    fn is(&self, name: &str) -> bool {
        self.name == name || self.suites.iter().any(|suite| suite == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_of_the_repository_can_be_read_and_names_four_kernels() {
        let catalog = Catalog::load().unwrap();
        let names: Vec<_> = catalog
            .kernels
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(names, ["5.10", "6.1", "6.12", "7.2"]);
    }

    #[test]
    fn a_kernel_is_chosen_by_name_or_suite_and_once() {
        let catalog = Catalog::load().unwrap();
        let names = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            catalog
                .select(&wanted)
                .map(|entries| entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&["sid", "7.2", "6.1"]).unwrap(), ["6.1", "7.2"]);
        assert_eq!(names(&[]).unwrap().len(), 4);
        assert!(names(&["2.4"]).unwrap_err().to_string().contains("5.10"));
    }
}
