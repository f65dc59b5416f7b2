//! The Debian packages that files of this machine belong to.
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{Component, purl};
use crate::{
    process::{Cmd, find},
    progress::note,
};

/// The packages that the libraries belong to. Elsewhere than on Debian there are none.
pub(super) fn owners(libraries: &[PathBuf]) -> Result<Vec<Component>> {
    if libraries.is_empty() {
        return Ok(Vec::new());
    }
    if find("dpkg").is_none() {
        note("this is no Debian machine: the bill of materials has no packages of libraries");
        return Ok(Vec::new());
    }
    let packages: BTreeSet<String> = libraries
        .iter()
        .map(|library| owner(library))
        .collect::<Result<_>>()?;
    packages.iter().map(|package| component(package)).collect()
}

fn owner(library: &Path) -> Result<String> {
    spellings(library)
        .iter()
        .find_map(|path| package(&Cmd::new("dpkg").arg("-S").arg(path).read().ok()?))
        .with_context(|| {
            format!(
                "no package has {}; build on a machine where the libraries are Debian's",
                library.display()
            )
        })
}

/// Where /lib is a link to /usr/lib, a package may know its file by either name.
fn spellings(library: &Path) -> Vec<PathBuf> {
    let other = match library.strip_prefix("/usr") {
        Ok(rest) => Path::new("/").join(rest),
        Err(_) => Path::new("/usr").join(library.strip_prefix("/").unwrap_or(library)),
    };
    vec![library.to_owned(), other]
}

/// From a line `PACKAGE:ARCHITECTURE: PATH`. There may be lines about diversions.
fn package(found: &str) -> Option<String> {
    found
        .lines()
        .filter(|line| !line.starts_with("diversion "))
        .find_map(|line| line.split_once(": "))
        .map(|(package, _)| package.to_owned())
}

fn component(package: &str) -> Result<Component> {
    let shown = Cmd::new("dpkg-query")
        .args(["-W", "-f=${Package} ${Version} ${Architecture}", package])
        .read()?;
    let fields: Vec<_> = shown.split(' ').collect();
    let [name, version, architecture] = fields[..] else {
        anyhow::bail!("dpkg-query says {shown:?} of {package}");
    };
    let purl = format!("{}?arch={architecture}", purl("deb/debian", name, version));
    Ok(Component {
        kind: "library",
        reference: purl.clone(),
        name: name.to_owned(),
        version: version.to_owned(),
        description: None,
        hashes: Vec::new(),
        licenses: Vec::new(),
        purl,
    })
}

/// The names, without architectures, of the packages that the libraries belong to.
pub(crate) fn names(libraries: &[PathBuf]) -> Result<BTreeSet<String>> {
    let owners = owners(libraries)?;
    Ok(owners.into_iter().map(|package| package.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_what_stands_before_the_path() {
        let found = "diversion by dash from: /bin/sh\nlibc6:amd64: /lib/libc.so.6\n";
        assert_eq!(package(found).as_deref(), Some("libc6:amd64"));
        assert_eq!(package(""), None);
    }

    #[test]
    fn a_library_is_looked_for_with_and_without_usr() {
        let paths = |path| spellings(Path::new(path));
        assert_eq!(
            paths("/lib/a.so"),
            [Path::new("/lib/a.so"), Path::new("/usr/lib/a.so")]
        );
        assert_eq!(
            paths("/usr/lib/a.so"),
            [Path::new("/usr/lib/a.so"), Path::new("/lib/a.so")]
        );
    }
}
