//! What the one-shot tools share: attach, measure until the time is up or Ctrl-C, show, detach.

mod chosen;
mod follow;
mod job;
mod last_resort;
mod measure;
mod period;
mod print;
mod readings;
mod ring;
mod schedule;
mod start;

use tokio::runtime::Runtime;

use self::{job::Show, measure::Measuring};
use super::{CliError, Kind, args::CommonArgs};
use crate::{
    render::view::By,
    report::{Filter, Unmatched},
    session::{FlowSettings, Session, Translator},
};

pub(super) use self::{
    chosen::Processes,
    job::Job,
    measure::NAMES_WITHIN,
    period::Period,
    print::print,
    start::{Needs, let_go},
};

/// A tool that measures.
pub(super) struct Tool {
    name: &'static str,
    session: Session,
    runtime: Runtime,
    follow: Option<FlowSettings>,
    translator: Option<Translator>,
    /// What every report says: what the probes lack, and how flags were understood.
    notes: Vec<String>,
    /// Processes that were asked for and do not exist.
    missing: Vec<Unmatched>,
    /// Whether a filter that matches nothing is a failure.
    strict: bool,
}

impl Tool {
    /// Makes a filter that matches nothing a failure, or not.
    pub(super) fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Measures as the arguments say and shows each period of what the filter admits.
    ///
    /// # Errors
    ///
    /// Those of `show`.
    pub(super) fn run(
        self,
        args: &CommonArgs,
        by: By,
        filter: &Filter,
        show: impl FnMut(Period<'_>) -> Result<(), CliError>,
    ) -> Result<Kind, CliError> {
        self.run_job(args, by, Show { show, by, filter })
    }

    /// Measures as the arguments say, with a job that receives what happens. The answer is a finding where filters have to match and do
    /// not.
    ///
    /// # Errors
    ///
    /// Those of the job.
    pub(super) fn run_job(
        mut self,
        args: &CommonArgs,
        by: By,
        job: impl Job,
    ) -> Result<Kind, CliError> {
        let (follow, translator) = (self.follow.take(), self.translator.take());
        self.runtime.block_on(async {
            let measuring = Measuring::start(&self, args, follow, translator, job)?;
            measuring.run(args, by).await
        })
    }
}
