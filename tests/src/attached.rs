//! Which BPF programs a process holds, and whether the kernel still has them.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};

/// Ids of the BPF programs that a process has open, directly or by a link.
///
/// # Errors
///
/// If the process is gone.
pub fn programs_of(pid: i32) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        // A file that was closed in between holds no program.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        ids.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok()),
        );
    }
    Ok(ids)
}

/// Ids of all BPF programs in the kernel.
///
/// # Errors
///
/// If the kernel does not tell.
pub fn programs() -> Result<BTreeSet<u32>> {
    aya::programs::loaded_programs()
        .map(|program| Ok(program.context("list the programs")?.id()))
        .collect()
}

/// Names of the BPF programs that a process has open, as the kernel shows them: at most 15 bytes.
///
/// # Errors
///
/// As [`programs_of`].
pub fn names_of(pid: i32) -> Result<BTreeSet<String>> {
    let ids = programs_of(pid)?;
    let names = aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| ids.contains(&program.id()))
        .filter_map(|program| program.name_as_str().map(str::to_owned));
    Ok(names.collect())
}
