//! `nodeprobe doctor`: what this kernel, this host and these privileges allow, and what to do about it.

mod capabilities;
mod containers;
mod facts;
mod features;
mod host;
mod kubernetes;
mod probes;
mod table;
mod translation;

use std::io;

use serde::Serialize;

use super::{
    CliError, Kind, VERSION,
    args::{DoctorArgs, DoctorFormat, environment},
    output,
};
use crate::{
    config::{Sources, load},
    kernel::Roots,
};
pub use facts::Facts;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
    let facts = Facts::gather(Roots::default(), load(&sources)?);
    report(&facts, &checks(&facts), args.output)
}

/// All rows that this module knows.
pub fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = host::checks(facts);
    checks.extend(features::checks(facts));
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
                colour: output::style_wanted(&io::stdout()),
                width: output::width(),
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

fn json(facts: &Facts, checks: &[Check], kind: Kind) -> Result<String, CliError> {
    #[derive(Serialize)]
    struct Report<'a> {
        version: &'static str,
        host: &'a str,
        kernel: &'a str,
        machine: &'a str,
        possible_cpus: Option<usize>,
        ok: bool,
        checks: &'a [Check],
    }
    let report = Report {
        version: VERSION,
        host: &facts.host.name,
        kernel: &facts.host.release,
        machine: &facts.host.machine,
        possible_cpus: facts.cpus.as_ref().ok().copied(),
        ok: kind == Kind::Fine,
        checks,
    };
    let text = serde_json::to_string_pretty(&report).map_err(CliError::failure)?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests;
