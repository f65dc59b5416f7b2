//! The file that tells clients where the server is.

use serde_json::{Value, json};

/// JSON, which is YAML as well.
pub(crate) fn kubeconfig(url: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": url}}],
        "users": [{"name": "stub", "user": {"token": token}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        "current-context": "stub",
    })
}
