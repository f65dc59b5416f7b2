//! `nodeprobe doctor`: what this kernel, this host and these privileges allow, and what to do about it.

mod capabilities;
mod containers;
mod facts;
mod features;
mod host;
mod init_process;
mod kubernetes;
mod probes;
mod table;
mod translation;

use std::io;

use serde::Serialize;

use super::{
    CliError, Kind, VERSION,
    args::{DoctorArgs, DoctorFormat, environment},
    output, screen,
};
use crate::{
    config::{Sources, load},
    kernel::Roots,
    render::{json, view::Row},
};
pub use facts::Facts;

/// Columns of the table: no fewer, since details would become a tower of words, and no more, since long lines are hard
/// to read.
const NARROWEST: usize = 60;
const WIDEST: usize = 120;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Works, or is not needed.
    Ok,
    /// Works with less.
    Degraded,
    /// Does not work.
    Missing,
    /// Could not be found out.
    Unknown,
}

impl State {
    /// The word in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Check {
    /// The group of rows that it stands in; [`Check::PROBES`] decides the exit code.
    pub area: &'static str,
    /// What was looked at.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What was found, and what it means.
    pub detail: String,
    /// What the operator can do, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    /// The area whose missing rows make `doctor` end with 3.
    pub const PROBES: &'static str = "probes";

    /// A row without a remedy.
    pub fn new(
        area: &'static str,
        name: impl Into<String>,
        state: State,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            area,
            name: name.into(),
            state,
            detail: detail.into(),
            remedy: None,
        }
    }

    /// Says what the operator can do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Runs the command.
///
/// # Errors
///
/// If the configuration is faulty or nothing can be written.
pub fn run(args: &DoctorArgs) -> Result<Kind, CliError> {
    let sources = Sources {
        file: args.config.clone(),
        environment: environment(),
        arguments: Vec::new(),
    };
    let mut config = load(&sources)?;
    args.runtimes.add_to(&mut config);
    let facts = Facts::gather(Roots::default(), config);
    report(&facts, &checks(&facts), args.output)
}

/// All rows that this module knows.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = host::checks(facts);
    checks.extend(features::checks(facts));
    checks.push(init_process::check(facts));
    checks.extend(capabilities::checks(facts));
    checks.extend(containers::checks(facts));
    checks.extend(kubernetes::checks(facts));
    checks.extend(translation::checks(facts));
    checks.extend(probes::checks(facts));
    checks
}

/// Prints rows and answers whether every probe can run.
///
/// # Errors
///
/// If nothing can be written.
pub fn report(facts: &Facts, checks: &[Check], format: DoctorFormat) -> Result<Kind, CliError> {
    let kind = verdict(checks);
    let text = match format {
        DoctorFormat::Json => json(facts, checks, kind)?,
        DoctorFormat::Table => {
            let style = table::Style {
                colour: screen::style_wanted(&io::stdout()),
                width: screen::columns().clamp(NARROWEST, WIDEST),
            };
            table::render(facts, checks, style)
        }
    };
    output::print(&text)?;
    Ok(kind)
}

fn verdict(checks: &[Check]) -> Kind {
    let missing = |check: &Check| check.area == Check::PROBES && check.state == State::Missing;
    if checks.iter().any(missing) {
        Kind::Unsupported
    } else {
        Kind::Fine
    }
}

/// All rows, with facts of the host.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DoctorReport<'a> {
    /// Version and revision of nodeprobe.
    version: &'static str,
    /// Name of the host.
    node: &'a str,
    /// Release of the running kernel.
    kernel: &'a str,
    /// Architecture, as `uname -m` names it.
    machine: &'a str,
    /// CPUs that the host may have; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_cpus: Option<usize>,
    /// Whether all enabled probes can run.
    ok: bool,
    /// What was looked at.
    checks: &'a [Check],
}

impl Row for DoctorReport<'_> {
    const TYPE: &'static str = "doctor";
}

fn json(facts: &Facts, checks: &[Check], kind: Kind) -> Result<String, CliError> {
    let report = DoctorReport {
        version: VERSION,
        node: &facts.host.name,
        kernel: &facts.host.release,
        machine: &facts.host.machine,
        possible_cpus: facts.cpus.as_ref().ok().copied(),
        ok: kind == Kind::Fine,
        checks,
    };
    let mut text = Vec::new();
    json::write_json(&mut text, &report)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What `-o json` prints.
#[cfg(test)]
pub(super) fn document() -> super::schema::Document {
    super::schema::document::<DoctorReport<'_>>("doctor")
}

#[cfg(test)]
mod tests;
