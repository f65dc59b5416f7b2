//! `cargo xtask check`: rules of this repository that no compiler checks.
//!
//! Owns no rule itself: who may use whom is in `check/rules.toml`, the rest beside its check.
use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::{process::Cmd, progress::note, workspace};

mod code;
mod imports;
mod layers;
mod machine_paths;
mod safety;

use layers::Rules;

/// Beyond this a file may hold more than one idea.
const LONG: usize = 400;

/// A tracked text file, by its path from the root.
struct Source {
    path: String,
    text: String,
}

pub(crate) fn run() -> Result<()> {
    let sources = tracked()?;
    let rules = Rules::load()?;
    let mut faults = machine_paths::faults(&sources);
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        faults.extend(rules.faults(source));
        faults.extend(safety::faults(source));
        let lines = source.text.lines().count();
        if lines > LONG {
            note(format!("{}: {lines} lines; is it one idea?", source.path));
        }
    }
    if faults.is_empty() {
        note(format!(
            "{} files follow the rules of the repository",
            sources.len()
        ));
        return Ok(());
    }
    bail!(
        "rules of the repository are broken:\n  {}",
        faults.join("\n  ")
    )
}

fn tracked() -> Result<Vec<Source>> {
    let root = workspace::root();
    let list = Cmd::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .dir(&root)
        .read()?;
    let read = |path: &str| -> Result<Option<Source>> {
        let file: PathBuf = root.join(path);
        // Deleted and not yet committed, or not text.
        if !file.is_file() {
            return Ok(None);
        }
        let bytes = fs::read(&file).with_context(|| format!("read {path}"))?;
        Ok(String::from_utf8(bytes).ok().map(|text| Source {
            path: path.to_owned(),
            text,
        }))
    };
    list.lines()
        .filter_map(|path| read(path).transpose())
        .collect()
}
