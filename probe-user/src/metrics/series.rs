//! One series: its label values, its value, and whether it is on its way out.

use std::{sync::Arc, time::Instant};

use probe_common::hist::Histogram;

use super::{
    Kind,
    containers::{Charge, Slot},
};

/// The value of a series, in the form in which it is exact.
#[derive(Debug)]
pub(super) enum Value {
    /// A count, or nanoseconds for [`Kind::SecondsCounter`].
    Counter(u64),
    Gauge(f64),
    Histogram(Box<Histogram>),
}

impl Value {
    pub(super) fn zero(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::SecondsCounter => Self::Counter(0),
            Kind::Gauge | Kind::Info => Self::Gauge(0.0),
            Kind::Histogram(_) => Self::Histogram(Box::default()),
        }
    }
}

/// Why and since when a series is about to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retired {
    pub(super) at: Instant,
    /// Whether a scrape has shown the last value.
    pub(super) shown: bool,
}

/// One series of a family.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) hash: u64,
    pub(super) labels: Box<[Arc<str>]>,
    pub(super) value: Value,
    pub(super) retired: Option<Retired>,
    /// Whose it is.
    pub(super) slot: Slot,
    /// What it takes from that container's budget.
    pub(super) charge: Charge,
}

impl Series {
    pub(super) fn has(&self, labels: &[&str]) -> bool {
        self.labels
            .iter()
            .map(AsRef::as_ref)
            .eq(labels.iter().copied())
    }
}
