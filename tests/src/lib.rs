//! Rigs for the integration tests and benchmarks: workloads of known size, real container runtimes,
//! cgroups, and nodeprobe itself.
//!
//! Every rig is a guard: dropping it ends the processes, unmounts, and removes the cgroups that it
//! made, also when a test fails. A rig that this machine cannot have answers with [`Unavailable`],
//! see [`skip`].

pub mod attached;
#[cfg(feature = "bench")]
pub mod bench;
pub mod capture;
pub mod cgroup;
pub mod disk;
pub mod exempt;
pub mod flowlog;
pub mod guard;
pub mod http;
pub mod image;
pub mod isolate;
pub mod lock;
pub mod netns;
pub mod network;
pub mod nodeprobe;
pub mod peers;
pub mod prometheus;
pub mod report;
pub mod runtime;
pub mod scale;
pub mod schema;
pub mod scrape;
pub mod skip;
pub mod systemd;
pub mod task;
pub mod terminal;
pub mod thousand;
pub mod truth;
pub mod wait;
pub mod wire;
pub mod workload;

pub use skip::Unavailable;
