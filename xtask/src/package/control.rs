//! What the package says of itself, and the scripts that dpkg runs.
use std::env;

use anyhow::Result;

use super::content::CONFIGURATION;
use crate::{tree::Tree, workspace};

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// What is not the same in every package.
pub(super) struct Facts<'a> {
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
    pub(super) maintainer: &'a str,
    pub(super) depends: &'a str,
    /// Of all files, in KiB.
    pub(super) size: usize,
}

/// The folder `DEBIAN`.
pub(super) fn tree(facts: &Facts<'_>, sums: &str) -> Result<Tree> {
    let mut tree = Tree::default();
    tree.file("DEBIAN/control", 0o644, control(facts));
    tree.file("DEBIAN/conffiles", 0o644, format!("{CONFIGURATION}\n"));
    tree.file("DEBIAN/md5sums", 0o644, sums);
    for script in SCRIPTS {
        let path = workspace::root().join("deploy/debian").join(script);
        tree.copy(&path, format!("DEBIAN/{script}"), 0o755)?;
    }
    Ok(tree)
}

/// Who built it, by the variables that Debian's tools take it from.
pub(super) fn maintainer() -> String {
    let or = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    format!(
        "{} <{}>",
        or("DEBFULLNAME", "nodeprobe maintainers"),
        or("DEBEMAIL", "maintainers@nodeprobe.invalid")
    )
}

/// From a line `shlibs:Depends=PACKAGES`.
pub(super) fn depends(found: &str) -> Option<String> {
    found
        .lines()
        .find_map(|line| line.strip_prefix("shlibs:Depends="))
        .map(str::to_owned)
}

fn control(facts: &Facts<'_>) -> String {
    let Facts {
        version,
        architecture,
        maintainer,
        depends,
        size,
    } = facts;
    format!(
        "Package: nodeprobe
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}, init-system-helpers (>= 1.54)
Section: admin
Priority: optional
Description: observes the containers of a host by eBPF
 What they call, wait for and fail at, with whom they talk and which network
 policies are not enforced: measured in the kernel, served as metrics.
 .
 The service is not enabled by the package: `systemctl enable --now nodeprobe`
 does that, and `nodeprobe doctor` says before what the kernel supports.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_dpkg_shlibdeps() {
        let found = "shlibs:Depends=libc6 (>= 2.34), libgcc-s1 (>= 4.2)";
        assert_eq!(
            depends(found).as_deref(),
            Some("libc6 (>= 2.34), libgcc-s1 (>= 4.2)")
        );
        assert_eq!(depends("shlibs:Recommends=x"), None);
    }

    #[test]
    fn a_field_goes_on_in_lines_that_begin_with_a_space() {
        let text = control(&Facts {
            version: "1",
            architecture: "amd64",
            maintainer: "x <x@y>",
            depends: "libc6",
            size: 3,
        });
        let (fields, description) = text.split_once("Description: ").unwrap();
        assert!(fields.lines().all(|line| line.contains(": ")), "{fields}");
        assert!(
            description
                .lines()
                .skip(1)
                .all(|line| line.starts_with(' ') && line.len() <= 80),
            "{description}"
        );
    }
}
