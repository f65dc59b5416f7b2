//! What a replay found, for people and for programs.

use std::fmt::Write as _;

use probe_policy::{
    engine::{End, Engine},
    report::Entry,
    verdict::{Verdict, Word},
};
use serde::Serialize;

use super::{Change, Judged, Log};
use crate::cli::{
    CliError,
    args::{PolicyFormat, ReplayArgs},
    policy::log::Party,
    print as out,
};

/// Rows of a table.
const ROWS: usize = 200;

/// One kind of connections.
#[derive(Serialize)]
struct Row<'a> {
    from: String,
    to: String,
    protocol: String,
    port: u16,
    connections: u64,
    seen_by_source: u64,
    seen_by_destination: u64,
    verdict: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
    policies: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proposed_policies: Vec<Entry<'a>>,
}

/// All of them.
#[derive(Serialize)]
struct Whole<'a> {
    connections: u64,
    allowed: u64,
    denied: u64,
    undefined: u64,
    unknown: u64,
    initiator_guessed: u64,
    broken_lines: u64,
    rows: Vec<Row<'a>>,
}

pub(super) fn print(
    args: &ReplayArgs,
    engine: &Engine,
    proposed: Option<&Engine>,
    log: &Log,
    judged: &[Judged<'_>],
) -> Result<(), CliError> {
    let row = |judged: &Judged<'_>| {
        let verdicts = judged.proposed.as_ref().zip(proposed);
        let of_proposed = verdicts.map(|(verdict, engine)| engine.entries(verdict));
        Row {
            from: named(engine, judged, &judged.talk.from),
            to: named(engine, judged, &judged.talk.to),
            protocol: judged.talk.protocol.to_string(),
            port: judged.talk.port,
            connections: judged.seen.connections(),
            seen_by_source: judged.seen.by_source,
            seen_by_destination: judged.seen.by_destination,
            verdict: judged.now.combined,
            proposed: judged.proposed.as_ref().map(|verdict| verdict.combined),
            change: judged.change(),
            policies: engine.entries(&judged.now),
            proposed_policies: of_proposed.unwrap_or_default(),
        }
    };
    let count = |wanted: &dyn Fn(&Verdict) -> bool| {
        let of_it = judged.iter().filter(|judged| wanted(&judged.now));
        of_it.map(|judged| judged.seen.connections()).sum()
    };
    let whole = Whole {
        connections: count(&|_| true),
        allowed: count(&|verdict| verdict.combined.allows() == Some(true)),
        denied: count(&|verdict| verdict.combined.allows() == Some(false)),
        undefined: count(&|verdict| verdict.combined == Word::Undefined),
        unknown: count(&|verdict| verdict.combined == Word::Unknown),
        initiator_guessed: log.guessed,
        broken_lines: log.broken,
        rows: Vec::new(),
    };
    let text = match args.output {
        PolicyFormat::Table => table(&whole, judged.iter().filter(|j| j.is_finding()).map(row)),
        PolicyFormat::Json => {
            let rows = judged.iter().map(row).collect();
            let whole = Whole { rows, ..whole };
            serde_json::to_string_pretty(&whole).map_err(CliError::failure)? + "\n"
        }
        PolicyFormat::Ndjson => {
            let mut text = String::new();
            for judged in judged {
                text += &serde_json::to_string(&row(judged)).map_err(CliError::failure)?;
                text.push('\n');
            }
            text
        }
    };
    Ok(out(&text)?)
}

/// A workload of the manifests by its name, anything else by its address.
fn named(engine: &Engine, judged: &Judged<'_>, party: &Party) -> String {
    let connection = judged.talk.connection(engine);
    let end = if *party == judged.talk.from {
        connection.from
    } else {
        connection.to
    };
    let index = match end {
        End::Pod(index) | End::PodAt(index, _) => Some(index),
        End::Address(address) => engine.pod_at(address),
    };
    match index.and_then(|index| engine.cluster().pods.get(index as usize)) {
        Some(pod) => {
            format!("{}/{}", pod.namespace, pod.workload().name)
        }
        None => match &party.pod {
            Some((namespace, pod)) => format!("{namespace}/{pod}"),
            None => party.address.to_string(),
        },
    }
}

fn table<'a>(whole: &Whole<'_>, rows: impl Iterator<Item = Row<'a>>) -> String {
    let mut text = String::new();
    let rows: Vec<_> = rows.collect();
    let widest = |of: for<'r> fn(&'r Row<'a>) -> &'r str, least: usize| {
        rows.iter()
            .map(|row| of(row).chars().count())
            .chain([least])
            .max()
            .unwrap_or(least)
    };
    let (from, to) = (widest(|row| &row.from, 4), widest(|row| &row.to, 2));
    // Writing to a string cannot fail, here and below.
    if !rows.is_empty() {
        let _written = writeln!(
            text,
            "{:from$}  {:to$}  {:11}  {:>11}  WHAT, AND WHY",
            "FROM", "TO", "PORT", "CONNECTIONS"
        );
    }
    for row in rows.iter().take(ROWS) {
        let port = format!("{} {}", row.protocol, row.port);
        let _written = writeln!(
            text,
            "{:from$}  {:to$}  {port:11}  {:>11}  {}",
            row.from,
            row.to,
            row.connections,
            what(row)
        );
    }
    if rows.len() > ROWS {
        let _written = writeln!(text, "and {} more; `-o json` has all", rows.len() - ROWS);
    }
    let Whole {
        connections,
        allowed,
        denied,
        undefined,
        unknown,
        initiator_guessed,
        broken_lines,
        ..
    } = whole;
    let _written = writeln!(
        text,
        "{connections} connections: {allowed} allowed, {denied} denied, {undefined} undefined, {unknown} unknown"
    );
    if *initiator_guessed > 0 {
        let _written = writeln!(
            text,
            "{initiator_guessed} more were not judged, because nobody saw who began"
        );
    }
    if *broken_lines > 0 {
        let _written = writeln!(text, "{broken_lines} lines of the log are no records");
    }
    text
}

/// What a row is about, and the policies behind it.
fn what(row: &Row<'_>) -> String {
    let (what, entries) = match row.change {
        Some(Change::AllowToDeny) => ("would newly be denied", &row.proposed_policies),
        Some(Change::DenyToAllow) => ("would newly be allowed", &row.proposed_policies),
        Some(Change::Uncertain | Change::None) => ("would not be certain", &row.proposed_policies),
        None => ("denied", &row.policies),
    };
    let wanted = match row.change {
        Some(Change::DenyToAllow) => Some(true),
        Some(Change::AllowToDeny) | None => Some(false),
        Some(Change::Uncertain | Change::None) => None,
    };
    let has_a_say = entries
        .iter()
        .filter(|entry| entry.verdict.allows() == wanted && !entry.passed);
    let mut names: Vec<String> = has_a_say
        .filter_map(|entry| {
            let name = entry.name?;
            Some(entry.namespace.map_or_else(
                || name.to_owned(),
                |namespace| format!("{namespace}/{name}"),
            ))
        })
        .collect();
    names.dedup();
    if names.is_empty() {
        return what.to_owned();
    }
    format!("{what} by {}", names.join(", "))
}
