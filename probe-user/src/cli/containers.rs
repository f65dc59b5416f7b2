//! `nodeprobe containers`: which containers there are, by the names that the tools understand.

mod row;

use std::{
    future, io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::runtime::Builder;

use self::row::ContainerRow;
use super::{
    CliError, Kind,
    args::{ContainersArgs, OutputFormat},
    output, screen,
};
use crate::{
    identity::{Identities, Limits, Reach, resolver},
    kernel::{
        Roots,
        cgroupfs::{Cgroups, scan},
    },
    model::Container,
    render::{
        json,
        sheet::{Column, Sheet},
        text::safe,
        view::Row,
    },
    select::Pattern,
};

/// How long names are waited for.
const NAMES_WITHIN: Duration = Duration::from_secs(3);

/// How long nothing must change before runtimes have reported all that they know of their own accord.
const QUIET: Duration = Duration::from_millis(300);

/// All that is printed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Listing {
    /// One for each container or part of the host.
    #[serde(serialize_with = "json::typed")]
    containers: Vec<ContainerRow>,
    /// The runtimes that were queried and are there.
    runtimes: Vec<RuntimeRow>,
    /// What else a reader should know.
    notes: Vec<String>,
}

impl Row for Listing {
    const TYPE: &'static str = "containers";
}

/// A runtime that was queried and is there.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RuntimeRow {
    /// Its name.
    runtime: &'static str,
    /// Its socket, or where its files are.
    path: String,
    /// Why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Runs the command.
///
/// # Errors
///
/// If there are no cgroups, the configuration is wrong, or nothing can be written.
pub(super) fn run(args: &ContainersArgs) -> Result<Kind, CliError> {
    let listing = list(args)?;
    match args.output {
        OutputFormat::Table => output::print(&table(&listing)?)?,
        OutputFormat::Json => {
            let mut text = Vec::new();
            json::write_json(&mut text, &listing)?;
            output::print(&String::from_utf8_lossy(&text))?;
        }
        OutputFormat::Ndjson => {
            let mut text = Vec::new();
            for row in &listing.containers {
                json::write_row(&mut text, row)?;
            }
            output::print(&String::from_utf8_lossy(&text))?;
        }
    }
    if args.output != OutputFormat::Json {
        notes(&listing)?;
    }
    Ok(Kind::Fine)
}

fn list(args: &ContainersArgs) -> Result<Listing, CliError> {
    let config = args.runtimes.load()?;
    let cgroups = Cgroups::find(&Roots::default().proc).map_err(CliError::unsupported)?;
    let identities = Arc::new(Identities::new(Limits {
        deadline: NAMES_WITHIN,
        ..Limits::default()
    }));
    identities.set_split(config.cgroups_split);
    let mut notes = Vec::new();
    if let Some(subtree) = &cgroups.subtree {
        notes.push(format!(
            "only cgroups below {subtree} are listed: run in the host's cgroup namespace to list all"
        ));
    }
    let started = Instant::now();
    let walk = scan(&cgroups, Limits::default().live);
    if walk.truncated || walk.unreadable > 0 {
        notes.push(format!(
            "the list is not complete: at most {} cgroups are read, and {} directories cannot be read",
            Limits::default().live,
            walk.unreadable
        ));
    }
    identities.rescanned(&walk.found, started, Instant::now());
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::spawn(resolver::run(
            identities.clone(),
            (&config.runtimes).into(),
            None,
            future::pending(),
        ));
        let deadline = Instant::now() + NAMES_WITHIN;
        resolver::resolve_now(&identities, deadline).await;
        resolver::wait_until_quiet(&identities, QUIET, deadline).await;
    });
    let mut containers: Vec<ContainerRow> = identities
        .containers()
        .iter()
        .filter(|container| is_wanted(args, container))
        .map(|container| ContainerRow::from(&**container))
        .collect();
    containers.sort_by(|a, b| a.place().cmp(&b.place()));
    let runtimes = identities.runtimes();
    let runtimes = runtimes.into_iter().filter(|it| it.reach != Reach::Absent);
    Ok(Listing {
        containers,
        runtimes: runtimes
            .map(|state| RuntimeRow {
                runtime: state.runtime.name(),
                path: state.path.display().to_string(),
                error: match state.reach {
                    Reach::Fails(error) => Some(error),
                    Reach::Responds | Reach::Absent => None,
                },
            })
            .collect(),
        notes,
    })
}

fn is_wanted(args: &ContainersArgs, container: &Container) -> bool {
    let names: Vec<Pattern> = args.container.iter().map(|it| Pattern::new(it)).collect();
    let namespaces: Vec<Pattern> = args.namespace.iter().map(|it| Pattern::new(it)).collect();
    let is_named = !names.is_empty() || !namespaces.is_empty();
    // A part of the host that is asked for by name is listed.
    (container.id.is_some() || args.all || is_named)
        && (names.is_empty() || names.iter().any(|it| it.matches(container)))
        && (namespaces.is_empty()
            || namespaces
                .iter()
                .any(|it| it.matches_text(&container.namespace)))
}

fn table(listing: &Listing) -> Result<String, CliError> {
    let look = screen::look();
    let mut sheet = Sheet::new(vec![
        Column::name("CONTAINER", 14, 0),
        Column::name("ID", 12, 0),
        Column::name("RUNTIME", 8, 1),
        Column::name("CGROUP", 20, 2),
        Column::name("WHY UNNAMED", 12, 1),
    ]);
    for row in &listing.containers {
        sheet.push(row.cells().map(|cell| safe(&cell, look.charset)).to_vec());
    }
    let mut text = Vec::new();
    sheet.write(&mut text, &look)?;
    String::from_utf8(text).map_err(|error| CliError::failure(io::Error::other(error)))
}

/// What the rows do not say, on standard error, so that rows can be processed.
fn notes(listing: &Listing) -> io::Result<()> {
    use io::Write as _;
    let mut err = io::stderr().lock();
    if listing.containers.is_empty() {
        writeln!(
            err,
            "no container matches; --all lists parts of the host too"
        )?;
    }
    for RuntimeRow {
        runtime,
        path,
        error,
    } in &listing.runtimes
    {
        if let Some(error) = error {
            writeln!(err, "runtime {runtime} at {path}: {error}")?;
        }
    }
    for note in &listing.notes {
        writeln!(err, "note: {note}")?;
    }
    Ok(())
}

/// What `-o json` and `-o ndjson` print.
#[cfg(test)]
pub(super) fn documents() -> [super::schema::Document; 2] {
    [
        super::schema::document::<Listing>("containers -o json"),
        super::schema::document::<ContainerRow>("containers -o ndjson"),
    ]
}
