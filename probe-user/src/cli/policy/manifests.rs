//! Reads folders of manifests.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};

use probe_policy::{
    engine::{Engine, Options},
    load::{Loaded, Loader},
    model::Cluster,
};

use crate::cli::{
    CliError, Kind,
    args::{HostNetwork, ManifestArgs},
};

/// Files of more bytes are not manifests that anyone wrote.
const LARGEST: u64 = 256 << 20;
/// Findings that are told one by one.
const TOLD: usize = 50;
/// Folders within folders.
const DEEPEST: usize = 32;

/// Reads all manifests at a path and tells what is wrong with them on standard error.
///
/// # Errors
///
/// If the path cannot be read or has no manifests, or with `strict` if something is wrong.
pub(super) fn load(path: &Path, args: &ManifestArgs) -> Result<Cluster, CliError> {
    let mut files = Vec::new();
    let cannot = |error: io::Error| CliError::failure(format!("read {}: {error}", path.display()));
    collect(path, &mut files, 0).map_err(cannot)?;
    if files.is_empty() {
        let message = format!(
            "{} has no file that ends in .yaml, .yml or .json",
            path.display()
        );
        return Err(CliError::new(Kind::Usage, message));
    }
    // Of two objects that are the same the later one wins, which is not to depend on the file system.
    files.sort();
    let mut loader = Loader::new(args.default_namespace.clone());
    for file in &files {
        let text = read(file)
            .map_err(|error| CliError::failure(format!("read {}: {error}", file.display())))?;
        loader.add(&file.to_string_lossy(), &text);
    }
    let loaded = loader.finish();
    tell(&loaded);
    if args.strict && loaded.has_errors() {
        return Err(CliError::new(Kind::Finding, "the manifests have errors")
            .with_remedy("without --strict, verdicts that they may change are unknown"));
    }
    Ok(loaded.cluster)
}

/// An engine of what the arguments say.
///
/// # Errors
///
/// As [`load`].
pub(super) fn engine(args: &ManifestArgs) -> Result<Engine, CliError> {
    Ok(Engine::new(load(&args.manifests, args)?, options(args)))
}

/// The choices of the arguments.
pub(super) fn options(args: &ManifestArgs) -> Options {
    Options {
        blocks_match_pods: args.ipblock_pods,
        distinguish_host_network: args.hostnetwork == HostNetwork::Distinguish,
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>, depth: usize) -> io::Result<()> {
    if !path.is_dir() {
        // A file that was named is read whatever its name is.
        let is_manifest = path
            .extension()
            .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if depth == 0 || is_manifest {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(io::Error::other(
            "folders are nested too deeply; is one a link to itself?",
        ));
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files, depth + 1)?;
    }
    Ok(())
}

fn read(file: &Path) -> io::Result<String> {
    let size = fs::metadata(file)?.len();
    if size > LARGEST {
        return Err(io::Error::other(format!(
            "{size} bytes are too many for a manifest"
        )));
    }
    String::from_utf8(fs::read(file)?).map_err(|_| io::Error::other("it is no text in UTF-8"))
}

/// What is wrong, and what was left out, where nobody parses it.
fn tell(loaded: &Loaded) {
    let mut out = io::stderr().lock();
    let mut say = |line: &str| writeln!(out, "{line}").ok();
    for finding in loaded.findings.iter().take(TOLD) {
        say(&finding.to_string());
    }
    if let Some(more @ 1..) = loaded.findings.len().checked_sub(TOLD) {
        say(&format!("and {more} more of this kind"));
    }
    if !loaded.skipped.is_empty() && io::stderr().is_terminal() {
        let kinds: Vec<_> = loaded
            .skipped
            .iter()
            .map(|(kind, n)| format!("{n} {kind}"))
            .collect();
        say(&format!("of no concern here: {}", kinds.join(", ")));
    }
}
