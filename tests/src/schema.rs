//! Validates JSON by the schemas of `docs/schema`, as far as these go. A field that a schema does not name is an error.

use serde_json::Value;

/// What is wrong with a value, a line for each place; empty if it is valid.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut wrong = |what: String| found.push(format!("{at}: {what}: {value}"));
    if let Some(path) = schema["$ref"].as_str() {
        match root.pointer(path.trim_start_matches('#')) {
            Some(target) => check(root, target, value, at, found),
            None => wrong(format!("no {path} in the schema")),
        }
        return;
    }
    if let Some(kind) = schema["type"].as_str()
        && !is_a(kind, value)
    {
        return wrong(format!("not a {kind}"));
    }
    if schema
        .get("const")
        .is_some_and(|constant| constant != value)
    {
        wrong(format!("not {}", schema["const"]));
    }
    if let Some(minimum) = schema["minimum"].as_f64()
        && value.as_f64().is_some_and(|number| number < minimum)
    {
        wrong(format!("below {minimum}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong("not one of the enumeration".into());
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !matches(pattern, value.as_str().unwrap_or_default())
    {
        wrong(format!("not like {pattern}"));
    }
    for word in ["oneOf", "anyOf"] {
        let Some(choices) = schema[word].as_array() else {
            continue;
        };
        let fits = |choice: &&Value| {
            let mut found = Vec::new();
            check(root, choice, value, at, &mut found);
            found.is_empty()
        };
        if !choices.iter().any(|choice| fits(&choice)) {
            found.push(format!("{at}: none of {word} fits: {value}"));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            check(root, items, item, &format!("{at}[{index}]"), found);
        }
    }
    if let Some(object) = value.as_object() {
        fields(root, schema, object, at, found);
    }
}

fn fields(
    root: &Value,
    schema: &Value,
    object: &serde_json::Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !object.contains_key(name) {
            found.push(format!("{at}: lacks {name}"));
        }
    }
    for (name, value) in object {
        let place = format!("{at}.{name}");
        let known = schema["properties"].get(name);
        match known.or_else(|| schema.get("additionalProperties")) {
            Some(form) => check(root, form, value, &place, found),
            // The rows of a report have schemas of their own.
            None if schema.get("properties").is_none()
                || at.contains(".rows[")
                || at.contains(".containers[") => {}
            None => found.push(format!("{place}: not in the schema")),
        }
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// The few patterns that the schemas use: names with versions, times and numbers.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some(name) = pattern.strip_suffix(r"\.\d+$") {
        let name = name.trim_start_matches('^').replace('\\', "");
        return text
            .strip_prefix(&name)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|minor| minor.parse::<u32>().is_ok());
    }
    if pattern.starts_with(r"^\d{4}-") {
        return text.len() == "2026-01-02T03:04:05.000000000Z".len() && text.ends_with('Z');
    }
    text.parse::<u64>().is_ok()
}
