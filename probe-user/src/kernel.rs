//! Facts of the kernel and the host, each read from a root that the caller hands in.
//!
//! Asks the kernel and never its version. Loads no probe and decides nothing.

pub mod addresses;
mod bpf;
pub mod btf;
pub mod cgroup_path;
pub mod cgroupfs;
pub mod clock;
pub mod conntrack;
pub mod cpus;
pub mod fdinfo;
pub mod features;
pub mod host;
mod map_reads;
pub mod memlock;
pub mod memory;
pub mod netns;
pub mod priority;
pub mod process;
mod roots;
pub mod switches;
pub mod wait;

pub use bpf::run_raw_tracepoint;
pub use map_reads::capabilities_for_map_reads;
pub use roots::Roots;
