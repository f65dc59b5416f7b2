//! `cargo xtask image`: a container image of the release binary, as an archive.
//!
//! No container engine takes part: the one layer has the binary, the libraries that it asks for
//! and what says where they are from. The same binary gives the same bytes.
use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    libraries,
    progress::{Step, note},
    sbom,
    shipped::{self, VERSION},
    workspace,
};

mod layout;
mod root;

/// Where the archive is put.
pub(crate) fn archive() -> PathBuf {
    let name = format!("nodeprobe-{VERSION}-{}.oci.tar", shipped::architecture());
    workspace::target().join("image").join(name)
}

pub(crate) fn run(args: &shipped::Args) -> Result<()> {
    let binary = shipped::binary(args)?;
    let architecture = shipped::architecture();
    let time = shipped::time(0)?;
    let step = Step::start("pack the image");
    let libraries = libraries::of(&binary)?;
    let sbom = sbom::of(&binary, &libraries, time)?;
    let root = root::tree(&binary, &libraries, &sbom)?;
    let archive = layout::archive(&root, architecture, time)?;

    let folder = workspace::target().join("image");
    let name = format!("nodeprobe-{VERSION}-{architecture}");
    let to = self::archive();
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(folder.join(format!("{name}.cdx.json")), sbom)?;
    fs::write(&to, archive).with_context(|| format!("write {}", to.display()))?;
    step.done();
    note(format!("{}, as nodeprobe:{VERSION}", to.display()));
    Ok(())
}
