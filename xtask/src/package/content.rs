//! The files that the package installs.
use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use flate2::{Compression, GzBuilder};

use super::control;
use crate::{
    process::Cmd,
    shipped::{DOC, VERSION},
    tree::Tree,
    workspace,
};

pub(super) const CONFIGURATION: &str = "/etc/nodeprobe/nodeprobe.toml";

/// What the unit has for a binary that was installed by hand, and for one of a package.
const PATHS: [(&str, &str); 2] = [
    ("/usr/local/bin/nodeprobe", "/usr/bin/nodeprobe"),
    ("/etc/nodeprobe.toml", CONFIGURATION),
];

const OVERRIDES: &str = "# The names of its functions are for backtraces.
nodeprobe: unstripped-binary-or-object [usr/bin/nodeprobe]
# It has --help.
nodeprobe: no-manual-page [usr/bin/nodeprobe]
";

pub(super) fn tree(binary: &Path, sbom: &str, time: u64) -> Result<Tree> {
    let root = workspace::root();
    let mut tree = Tree::default();
    tree.copy(binary, "usr/bin/nodeprobe", 0o755)?;
    let configuration = Cmd::new(binary)
        .args(["agent", "--print-config"])
        .env_clear()
        .read()?;
    tree.file(CONFIGURATION, 0o644, configuration + "\n");
    let source = root.join("deploy/systemd/nodeprobe.service");
    let source =
        fs::read_to_string(&source).with_context(|| format!("read {}", source.display()))?;
    tree.file(
        "usr/lib/systemd/system/nodeprobe.service",
        0o644,
        unit(&source)?,
    );
    tree.file("usr/share/lintian/overrides/nodeprobe", 0o644, OVERRIDES);

    tree.file(format!("{DOC}/sbom.cdx.json"), 0o644, sbom);
    tree.file(format!("{DOC}/changelog.gz"), 0o644, changelog(time)?);
    tree.copy(
        &root.join("deploy/debian/copyright"),
        format!("{DOC}/copyright"),
        0o644,
    )?;
    // Debian has the other licences, and wants them referred to.
    for name in ["LICENSE-MIT", "README.md", "CHANGELOG.md"] {
        tree.copy(&root.join(name), format!("{DOC}/{name}"), 0o644)?;
    }
    for entry in fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if let (Some(name), true) = (path.file_name(), path.extension() == Some("md".as_ref())) {
            tree.copy(&path, Path::new(DOC).join("docs").join(name), 0o644)?;
        }
    }
    Ok(tree)
}

/// The unit of the repository, with the paths of a package and without how to install it by hand.
fn unit(source: &str) -> Result<String> {
    let start = source.find("[Unit]").context("the unit has no [Unit]")?;
    let mut unit = source[start..].to_owned();
    for (by_hand, packaged) in PATHS {
        ensure!(
            unit.contains(by_hand),
            "deploy/systemd/nodeprobe.service names no {by_hand}; change PATHS as well"
        );
        unit = unit.replace(by_hand, packaged);
    }
    Ok(unit)
}

fn changelog(time: u64) -> Result<Vec<u8>> {
    let date = Cmd::new("date")
        .args(["--utc", "--rfc-email", "--date"])
        .arg(format!("@{time}"))
        .env("LC_ALL", "C")
        .read()?;
    let maintainer = control::maintainer();
    let entry = format!(
        "nodeprobe ({VERSION}) unstable; urgency=medium\n\n  * What has changed is in \
         CHANGELOG.md.\n\n -- {maintainer}  {date}\n"
    );
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(entry.as_bytes())?;
    Ok(encoder.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_the_package_starts_the_program_of_the_package() {
        let source = "# install -m 755 x /usr/local/bin/\n[Unit]\n[Service]\n\
                      ExecStart=/usr/local/bin/nodeprobe agent --config /etc/nodeprobe.toml\n";
        assert_eq!(
            unit(source).unwrap(),
            "[Unit]\n[Service]\nExecStart=/usr/bin/nodeprobe agent --config \
             /etc/nodeprobe/nodeprobe.toml\n"
        );
    }

    #[test]
    fn a_unit_with_other_paths_is_no_unit_of_a_package() {
        assert!(unit("[Unit]\nExecStart=/opt/nodeprobe\n").is_err());
    }
}
