//! Folders that are costly to fill: filled once, and there only when whole.
use std::{fs, path::Path};

use anyhow::{Context as _, Result};

/// Fills the folder unless it is there. An interrupted run leaves nothing that looks finished.
pub(crate) fn filled(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let mut partial = dir.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    if partial.exists() {
        fs::remove_dir_all(partial).with_context(|| format!("remove {}", partial.display()))?;
    }
    fs::create_dir_all(partial).with_context(|| format!("make {}", partial.display()))?;
    fill(partial)?;
    fs::rename(partial, dir).with_context(|| format!("rename {}", partial.display()))
}
