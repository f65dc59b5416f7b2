//! Counts of what happens to files.

use std::sync::atomic::AtomicU64;

/// Counted since the start; see [`Counts`](super::Counts).
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) rotations: AtomicU64,
    pub(super) rotation_failures: AtomicU64,
    pub(super) removed: AtomicU64,
    pub(super) compressed: AtomicU64,
    pub(super) compression_failures: AtomicU64,
    pub(super) sync_failures: AtomicU64,
}
