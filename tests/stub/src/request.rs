//! Requests as tests see them.

use serde_json::Value;

use crate::query;

/// A request that came in, whatever the answer was.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` and its like.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it came; empty without a query.
    pub query: String,
    /// It asked for a watch.
    pub watch: bool,
    /// What was sent with it, if that was JSON.
    pub body: Option<Value>,
}

impl Request {
    /// A parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        query::parameter(&self.query, name)
    }
}
