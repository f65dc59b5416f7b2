//! A cluster under test: how to reach it, the agent on it, and the pods that there were.
//!
//! `cargo xtask kube test` says by variables where it is. Without them there is nothing to test.

pub mod agent;
pub mod cluster;
pub mod inventory;
pub mod records;
pub mod replay;
pub mod wait;
