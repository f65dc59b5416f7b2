//! Integration tests: nodeprobe on the running kernel, against workloads of known size.
//!
//! They need root. `NODEPROBE_BIN` names the binary under test, `NODEPROBE_REQUIRE` the rigs that
//! must not be skipped.

mod agent;
mod bad_input;
mod bad_packets;
mod budget;
mod burst;
mod connects;
mod dns;
mod drops;
mod edges;
mod families;
mod faults;
mod filters;
mod flow_filters;
mod ground_truth;
mod hierarchies;
mod intervals;
mod kubernetes;
mod latency;
mod live;
mod measure;
mod memory;
mod modes;
mod names;
mod network;
mod network_tools;
mod outputs;
mod peers;
mod plain;
mod policy;
mod processes;
mod prometheus;
mod queries;
mod rigs;
mod runtimes;
mod scheduler;
mod scrapes;
mod series;
mod service;
mod settings;
mod shares;
mod sinks;
mod sockets;
mod tcp_flags;
mod traffic;
mod translation;
mod unmatched;
