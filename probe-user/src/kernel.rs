//! Facts of the kernel and the host, each read from a root that the caller hands in.
//!
//! Asks the kernel and never its version. Loads no probe and decides nothing.

pub mod btf;
pub mod cgroupfs;
pub mod clock;
pub mod fdinfo;
