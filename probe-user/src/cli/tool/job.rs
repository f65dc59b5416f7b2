//! What a tool does with what is measured.

use std::time::Duration;

use super::Period;
use crate::{
    cli::CliError,
    identity::Identities,
    model::Measurements,
    render::view::By,
    report::{self, Filter},
    session::FlowEvent,
};

/// What a tool does with what is measured.
pub(in crate::cli) trait Job {
    /// Takes what happened since the last call, at the monotonic time `now`. Called often, whether something happened or not,
    /// if flows are followed.
    fn follow(
        &mut self,
        _events: Vec<FlowEvent>,
        _now: Duration,
        _identities: &Identities,
    ) -> Result<(), CliError> {
        Ok(())
    }

    /// Conditions on the rows.
    fn filter(&self) -> &Filter;

    /// Whether a container that has no name yet is in what [`show`](Self::show) prints of these measurements.
    fn awaits_names(
        &self,
        measurements: &Measurements,
        identities: &Identities,
        is_last: bool,
    ) -> bool;

    /// Shows a period that is over.
    fn show(&mut self, period: Period<'_>) -> Result<(), CliError>;
}

/// A job that shows periods and does nothing else.
pub(super) struct Show<'a, F> {
    pub(super) show: F,
    pub(super) by: By,
    pub(super) filter: &'a Filter,
}

impl<F> Job for Show<'_, F>
where
    F: FnMut(Period<'_>) -> Result<(), CliError>,
{
    fn filter(&self) -> &Filter {
        self.filter
    }

    fn awaits_names(&self, measurements: &Measurements, identities: &Identities, _: bool) -> bool {
        report::awaits_names(measurements, identities, self.by, self.filter)
    }

    fn show(&mut self, period: Period<'_>) -> Result<(), CliError> {
        (self.show)(period)
    }
}
