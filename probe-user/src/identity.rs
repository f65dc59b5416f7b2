//! From a cgroup's id to a named container.

pub mod paths;
