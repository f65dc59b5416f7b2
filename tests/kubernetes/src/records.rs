//! Records of the flow log and audit events, as JSON.

use serde_json::Value;

/// Whole lines of a log; the last one may be under way.
pub fn read(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// A text of a record; empty where it is absent.
pub fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap_or_default()
}

/// The side of the local socket: `src` or `dst`.
pub fn local_side(record: &Value) -> &'static str {
    if record["direction"] == "egress" {
        "src"
    } else {
        "dst"
    }
}

/// A field of one side.
pub fn of<'a>(record: &'a Value, side: &str, field: &str) -> &'a str {
    record[format!("{side}_{field}")]
        .as_str()
        .unwrap_or_default()
}
