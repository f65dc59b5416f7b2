//! User side of nodeprobe: everything but the thin binary.
//!
//! A module uses only what stands below it: cli, then agent, then policy, then http, session and report, then probes, render and flows, then
//! loader, maps and identity, then kernel, sinks and privileges, then metrics and config, then model and limits.

pub mod agent;
pub mod cli;
pub mod config;
pub mod flows;
pub mod http;
pub mod identity;
pub mod kernel;
pub mod kubernetes;
pub mod limits;
pub mod loader;
pub mod logs;
pub mod maps;
pub mod metrics;
pub mod model;
pub mod policy;
pub mod privileges;
pub mod probes;
pub mod render;
pub mod report;
pub mod select;
pub mod session;
pub mod sinks;
