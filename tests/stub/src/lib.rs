//! A Kubernetes API server for tests: objects, lists, watches and faults, in memory, over plain HTTP on
//! loopback.
//!
//! It answers as a server does that does not stream lists. It never validates objects, knows no label
//! selectors and sends JSON only.

mod answer;
mod api;
mod discovery;
mod kinds;
mod kubeconfig;
mod list;
mod query;
mod request;
mod route;
mod select;
mod server;
mod service;
mod show;
mod state;
mod status;
mod store;
mod watch;
mod write;

#[cfg(test)]
mod tests;

pub use api::StubApi;
pub use request::Request;
