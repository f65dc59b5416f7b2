//! What a replay found, for people and for programs.

use std::io::{self, Write as _};

use probe_policy::{
    engine::Engine,
    report::Entry,
    verdict::{Verdict, Word},
};
use serde::Serialize;

use super::{Change, Judged, Log};
use crate::{
    cli::{
        CliError,
        args::{PolicyFormat, ReplayArgs},
        policy::log::Party,
        print as out,
        screen::look,
    },
    policy::names::workload,
    render::{
        Look, json,
        sheet::{Column, Sheet},
        text::safe,
        view,
    },
};

/// Rows of a table.
const ROWS: usize = 200;

/// One kind of connections.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli::policy) struct Row<'a> {
    /// Workload or address that began.
    from: String,
    /// Workload or address that was asked.
    to: String,
    /// Transport, such as `TCP`.
    protocol: String,
    /// Port of the destination.
    port: u16,
    /// Connections. One that both ends recorded is one.
    connections: u64,
    /// Connections that the node of the source recorded.
    seen_by_source: u64,
    /// Connections that the node of the destination recorded.
    seen_by_destination: u64,
    /// Verdict of the policies.
    verdict: Word,
    /// Verdict of the proposed policies, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposed: Option<Word>,
    /// What the proposed policies change.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<Change>,
    /// The policies that decide.
    policies: Vec<Entry<'a>>,
    /// The proposed policies that decide.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proposed_policies: Vec<Entry<'a>>,
}

impl view::Row for Row<'_> {
    const TYPE: &'static str = "policy_replay_row";
}

/// All of them.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(in crate::cli::policy) struct Whole<'a> {
    /// Connections that were judged.
    connections: u64,
    /// Connections that are allowed.
    allowed: u64,
    /// Connections that are denied.
    denied: u64,
    /// Connections about which the API leaves it open.
    undefined: u64,
    /// Connections about which too little is known.
    unknown: u64,
    /// Connections that were not judged, as the initiator is not known.
    initiator_guessed: u64,
    /// Lines of the log that are no records.
    broken_lines: u64,
    /// Events that the log says it lost.
    lost_events: u64,
    /// One for each kind of connections.
    #[serde(serialize_with = "json::typed")]
    rows: Vec<Row<'a>>,
}

impl view::Row for Whole<'_> {
    const TYPE: &'static str = "policy_replay";
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
        lost_events: log.lost,
        rows: Vec::new(),
    };
    let text = match args.output {
        PolicyFormat::Table => {
            let rows = judged.iter().filter(|j| j.is_finding()).map(row);
            let text = table(&whole, rows, &look())?;
            String::from_utf8_lossy(&text).into_owned()
        }
        PolicyFormat::Json => {
            let rows = judged.iter().map(row).collect();
            let whole = Whole { rows, ..whole };
            let mut text = Vec::new();
            json::write_json(&mut text, &whole)?;
            String::from_utf8_lossy(&text).into_owned()
        }
        PolicyFormat::Ndjson => {
            let mut text = Vec::new();
            for judged in judged {
                json::write_row(&mut text, &row(judged))?;
            }
            String::from_utf8_lossy(&text).into_owned()
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
    workload(engine, end).unwrap_or_else(|| match &party.pod {
        Some((namespace, pod)) => format!("{namespace}/{pod}"),
        None => party.address.to_string(),
    })
}

fn table<'a>(
    whole: &Whole<'_>,
    rows: impl Iterator<Item = Row<'a>>,
    look: &Look,
) -> io::Result<Vec<u8>> {
    let rows: Vec<_> = rows.collect();
    let mut out = Vec::new();
    if !rows.is_empty() {
        let mut sheet = Sheet::new(vec![
            Column::name("FROM", 12, 0),
            Column::name("TO", 12, 0),
            Column::list("PORT", 10, 0),
            Column::number("CONNECTIONS", 0),
            Column::list("WHAT, AND WHY", 20, 0),
        ]);
        for row in rows.iter().take(ROWS) {
            sheet.push(vec![
                safe(&row.from, look.charset),
                safe(&row.to, look.charset),
                format!("{} {}", row.protocol, row.port),
                row.connections.to_string(),
                safe(&what(row), look.charset),
            ]);
        }
        sheet.write(&mut out, look)?;
    }
    if rows.len() > ROWS {
        writeln!(out, "and {} more; `-o json` has all", rows.len() - ROWS)?;
    }
    let Whole {
        connections,
        allowed,
        denied,
        undefined,
        unknown,
        initiator_guessed,
        broken_lines,
        lost_events,
        ..
    } = whole;
    writeln!(
        out,
        "{connections} connections: {allowed} allowed, {denied} denied, {undefined} undefined, {unknown} unknown"
    )?;
    for (count, what) in [
        (
            initiator_guessed,
            "more were not judged, because nobody saw who began",
        ),
        (broken_lines, "lines of the log are no records"),
        (
            lost_events,
            "events are not in the log: it says that they were lost",
        ),
    ] {
        if *count > 0 {
            writeln!(out, "{count} {what}")?;
        }
    }
    Ok(out)
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
