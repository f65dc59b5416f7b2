//! Metric families, the series that are held for them, and the formats in which they are shown.
//!
//! [`families`] describes what there is; [`Registry`] holds the values within budgets; [`SharedRegistry`] renders
//! them for a scraper. Nothing here knows about kernels, containers or HTTP: callers bring deltas and label values.

mod budgets;
mod containers;
mod desc;
#[cfg(test)]
mod document;
mod expose;
pub mod families;
mod family;
mod format;
mod labels;
#[cfg(test)]
mod losses;
mod negotiate;
mod process;
#[cfg(test)]
mod queries;
mod registry;
mod series;
mod shared;

pub use budgets::{Budgets, SELF_RESERVE, TOTAL};
pub use containers::ContainerCounts;
pub use desc::{Bounds, Desc, Kind, PREFIX, Unit};
pub use expose::RenderError;
pub use format::Format;
pub use process::{ProcessError, ProcessReader};
pub use registry::Registry;
pub use shared::SharedRegistry;
