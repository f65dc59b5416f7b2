//! `cargo xtask package`: a Debian package of the release binary, with its service.
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    libraries,
    process::Cmd,
    progress::{Step, note},
    requirements, sbom,
    shipped::{self, VERSION},
    workspace,
};

mod content;
mod control;

pub(crate) fn run(args: &shipped::Args) -> Result<()> {
    requirements::install(&[requirements::PACKAGE])?;
    let binary = shipped::binary(args)?;
    // Debian takes files of 1970 for a mistake.
    let time = shipped::time(shipped::commit_time())?;
    let step = Step::start("make the Debian package");
    let folder = workspace::target().join("package");
    let staging = emptied(&folder.join("staging"))?;
    let sbom = sbom::of(&binary, &libraries::of(&binary)?, time)?;
    let content = content::tree(&binary, &sbom, time)?;
    content.unpack(&staging)?;
    let facts = control::Facts {
        version: VERSION,
        architecture: shipped::architecture(),
        maintainer: &control::maintainer(),
        depends: &depends(&binary, &folder)?,
        size: content.size().div_ceil(1024),
    };
    control::tree(&facts, &sums(&content.paths(), &staging)?)?.unpack(&staging)?;

    let to = folder.join(format!(
        "nodeprobe_{VERSION}_{}.deb",
        shipped::architecture()
    ));
    Cmd::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .args([&staging, &to])
        // No file in it is younger than this.
        .env("SOURCE_DATE_EPOCH", time.to_string())
        .under(&step)?;
    fs::remove_dir_all(&staging)?;
    step.done();
    note(to.display().to_string());
    Ok(())
}

/// Makes a folder that is empty. What is made in it is for everybody to read, whatever the umask.
fn emptied(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    Ok(folder.to_owned())
}

/// The packages of the libraries, in the versions that the binary needs of them.
fn depends(binary: &Path, folder: &Path) -> Result<String> {
    // It looks for the description of a source package, and reads nothing of it.
    let sources = emptied(&folder.join("sources"))?;
    fs::create_dir(sources.join("debian"))?;
    fs::write(
        sources.join("debian/control"),
        "Source: nodeprobe\n\nPackage: nodeprobe\nArchitecture: any\n",
    )?;
    let found = Cmd::new("dpkg-shlibdeps")
        .arg("-O")
        .arg(binary)
        .dir(&sources)
        .read()
        .context("the packages that the binary depends on")?;
    fs::remove_dir_all(&sources)?;
    control::depends(&found).with_context(|| format!("dpkg-shlibdeps says {found:?}"))
}

/// The file `md5sums`, by which dpkg verifies what it has installed.
fn sums(paths: &[&Path], below: &Path) -> Result<String> {
    let sums = Cmd::new("md5sum").args(paths).dir(below).read()?;
    Ok(sums + "\n")
}
