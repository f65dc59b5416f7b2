//! `nodeprobe policy suggest`: policies of recorded connections.

use std::io::{self, Write as _};

use probe_policy::{
    engine::{Connection, Engine},
    load::Loader,
    model::Cluster,
    suggest::{Observed, Suggested},
};

use super::{
    log::{Log, Seen, Talk},
    manifests,
};
use crate::cli::{CliError, Kind, args::SuggestArgs, print};

/// Runs the command.
///
/// # Errors
///
/// If files cannot be read.
pub(super) fn run(args: &SuggestArgs) -> Result<Kind, CliError> {
    let engine = manifests::engine(&args.manifests)?;
    let log = Log::read(&args.flows)?;
    let observed = observed(&engine, &log);
    let mut suggested = Suggested::of(&engine, &observed);
    if let Some(namespace) = &args.namespace {
        suggested
            .policies
            .retain(|policy| policy.namespace == *namespace);
    }
    let text = suggested.to_yaml();
    print(&text)?;
    let (allowed, others) = tried(&engine, &text, &observed, args)?;
    let mut out = io::stderr().lock();
    // Nobody reads it where this fails.
    writeln!(out, "with these policies, {allowed} connections of the log are allowed and {others} are not, or not for certain").ok();
    if log.guessed > 0 {
        writeln!(
            out,
            "{} more were not looked at, because nobody saw who began",
            log.guessed
        )
        .ok();
    }
    Ok(if others == 0 {
        Kind::Fine
    } else {
        Kind::Finding
    })
}

/// In an order that is always the same.
fn observed(engine: &Engine, log: &Log) -> Observed {
    let mut talks: Vec<_> = log.talks.iter().collect();
    talks.sort_by(|a, b| a.0.cmp(b.0));
    let one = |(talk, seen): (&Talk, &Seen)| (talk.connection(engine), seen.connections());
    talks.into_iter().map(one).collect()
}

/// Judges all connections by what was written: those that are allowed, and the others.
fn tried(
    engine: &Engine,
    yaml: &str,
    observed: &Observed,
    args: &SuggestArgs,
) -> Result<(u64, u64), CliError> {
    let mut loader = Loader::default();
    loader.add("suggested", yaml);
    let loaded = loader.finish();
    if let Some(finding) = loaded.findings.first() {
        return Err(CliError::failure(format!(
            "a suggestion is wrong, please report it: {finding}"
        )));
    }
    let with = Engine::new(
        Cluster {
            policies: loaded.cluster.policies,
            ..engine.cluster().clone()
        },
        manifests::options(&args.manifests),
    );
    let count = |wanted: &dyn Fn(&Connection) -> bool| {
        let of_it = observed.iter().filter(|(connection, _)| wanted(connection));
        of_it.map(|(_, count)| count).sum::<u64>()
    };
    let is_allowed =
        |connection: &Connection| with.judge(connection).combined.allows() == Some(true);
    // ICMP and the like are open, whatever policies are there.
    let is_policed = |connection: &Connection| connection.protocol.is_policed();
    Ok((
        count(&|connection| is_policed(connection) && is_allowed(connection)),
        count(&|connection| is_policed(connection) && !is_allowed(connection)),
    ))
}
