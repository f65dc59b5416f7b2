//! The crates that are linked into the binary, those of the kernel side among them: its programs
//! are embedded.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId};
use serde::Deserialize;

use super::{Component, Dependency, Hash, Licence, purl};
use crate::workspace;

/// Crates that are built into what is shipped.
const ROOTS: [&str; 2] = ["probe-user", "probe-ebpf"];

pub(super) struct Crates {
    /// References of the roots.
    pub(super) roots: Vec<String>,
    pub(super) components: Vec<Component>,
    pub(super) dependencies: Vec<Dependency>,
}

/// A name and a version.
type Key = (String, String);

pub(super) fn linked() -> Result<Crates> {
    let root = workspace::root();
    let metadata = MetadataCommand::new()
        .current_dir(&root)
        .other_options(["--locked".to_owned()])
        .exec()
        .context("cargo metadata")?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("read Cargo.lock")?;
    let tree = workspace::cargo("tree")
        .args(["--locked", "--prefix", "none", "--format", "{p}"])
        .args(["--edges", "normal,no-proc-macro"])
        .args(ROOTS.iter().flat_map(|root| ["--package", root]))
        .read()?;
    Ok(assemble(&metadata, &keys(&tree), &checksums(&lock)?))
}

/// From lines `NAME vVERSION`, after which there may be a folder.
fn keys(tree: &str) -> BTreeSet<Key> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            let version = words.next()?.strip_prefix('v')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

fn checksums(lock: &str) -> Result<HashMap<Key, String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
    Ok(lock
        .package
        .into_iter()
        .filter_map(|package| Some(((package.name, package.version), package.checksum?)))
        .collect())
}

fn assemble(
    metadata: &Metadata,
    linked: &BTreeSet<Key>,
    checksums: &HashMap<Key, String>,
) -> Crates {
    let packages: BTreeMap<&PackageId, &Package> = metadata
        .packages
        .iter()
        .filter(|package| linked.contains(&key(package)))
        .map(|package| (&package.id, package))
        .collect();
    let mut components: Vec<_> = packages
        .values()
        .map(|package| component(package, checksums.get(&key(package))))
        .collect();
    components.sort_by(|a, b| a.reference.cmp(&b.reference));
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let mut dependencies: Vec<_> = nodes
        .filter_map(|node| {
            let package = packages.get(&node.id)?;
            let below: BTreeSet<_> = node
                .dependencies
                .iter()
                .filter_map(|id| packages.get(id))
                .map(|package| reference(package))
                .collect();
            Some(Dependency {
                reference: reference(package),
                depends_on: below.into_iter().collect(),
            })
        })
        .collect();
    dependencies.sort_by(|a, b| a.reference.cmp(&b.reference));
    let roots = packages
        .values()
        .filter(|package| ROOTS.contains(&package.name.as_str()))
        .map(|package| reference(package))
        .collect();
    Crates {
        roots,
        components,
        dependencies,
    }
}

fn key(package: &Package) -> Key {
    (package.name.to_string(), package.version.to_string())
}

fn reference(package: &Package) -> String {
    purl("cargo", &package.name, &package.version.to_string())
}

fn component(package: &Package, checksum: Option<&String>) -> Component {
    Component {
        kind: "library",
        reference: reference(package),
        name: package.name.to_string(),
        version: package.version.to_string(),
        description: package.description.as_ref().map(|text| text.trim().into()),
        hashes: checksum.cloned().map(Hash::sha256).into_iter().collect(),
        licenses: package
            .license
            .as_deref()
            .map(expression)
            .into_iter()
            .collect(),
        purl: reference(package),
    }
}

/// Old manifests separate licences by a slash.
fn expression(license: &str) -> Licence {
    let parts: Vec<_> = license.split('/').map(str::trim).collect();
    Licence {
        expression: parts.join(" OR "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_read_from_cargo_tree() {
        let tree = "probe-user v0.1.0 (/src/probe-user)\naya v0.14.0\naya v0.14.0 (*)\n\n";
        let names: Vec<_> = keys(tree).into_iter().collect();
        assert_eq!(
            names,
            [
                ("aya".to_owned(), "0.14.0".to_owned()),
                ("probe-user".to_owned(), "0.1.0".to_owned())
            ]
        );
    }

    #[test]
    fn checksums_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = 'a'\nversion = '1.0.0'\nchecksum = \
                    'c0'\n[[package]]\nname = 'own'\nversion = '0.1.0'\n";
        let sums = checksums(lock).unwrap();
        assert_eq!(sums.len(), 1);
        assert_eq!(sums[&("a".to_owned(), "1.0.0".to_owned())], "c0");
    }

    #[test]
    fn a_slash_between_licences_is_an_or() {
        assert_eq!(expression("MIT/Apache-2.0").expression, "MIT OR Apache-2.0");
        assert_eq!(expression("MIT OR ISC").expression, "MIT OR ISC");
    }
}
