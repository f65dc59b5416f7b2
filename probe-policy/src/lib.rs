//! What Kubernetes network policy says of a connection.
//!
//! Texts of manifests go in by [`load::Loader`], which gives a [`model::Cluster`] and what is wrong with them. An
//! [`engine::Engine`] is built of that and judges connections: [`verdict::Verdict`]. Nothing here does any I/O or reads a clock,
//! so that the agent and the tools that work on recorded traffic cannot disagree.
//!
//! The meaning, and where the API leaves one open, is in `docs/policy.md` of the repository.

pub mod audit;
mod describe;
pub mod engine;
pub mod load;
pub mod model;
pub mod report;
pub mod suggest;
pub mod verdict;
