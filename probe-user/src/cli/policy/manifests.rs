//! Manifests for the tools: what is wrong with them goes to standard error.

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::Path,
};

use probe_policy::{
    engine::{Engine, Options},
    load::Loaded,
    model::Cluster,
};

use crate::{
    cli::{
        CliError, Kind,
        args::{HostNetwork, ManifestArgs},
    },
    policy::{
        FollowError,
        manifests::{self, ManifestError},
    },
};

/// Findings that are told one by one.
const TOLD: usize = 50;

/// Reads all manifests at a path and tells what is wrong with them on standard error.
///
/// # Errors
///
/// If the path cannot be read or has no manifests, or with `strict` if something is wrong.
pub(super) fn load(path: &Path, args: &ManifestArgs) -> Result<Cluster, CliError> {
    let loaded = manifests::read(path, &args.default_namespace)?;
    tell(&loaded);
    if args.strict && loaded.has_errors() {
        return Err(CliError::new(Kind::Finding, "the manifests have errors")
            .with_remedy("without --strict, verdicts that they may change are unknown"));
    }
    Ok(loaded.cluster)
}

impl From<ManifestError> for CliError {
    fn from(error: ManifestError) -> Self {
        match error {
            ManifestError::Read { .. } => Self::failure(error),
            ManifestError::Empty(_) => Self::usage(error),
        }
    }
}

impl From<FollowError> for CliError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Manifests(error) => error.into(),
            FollowError::Thread(error) => error.into(),
        }
    }
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
