//! JSON Schemas of the output of all commands, and the page that describes it. Both are made from the types.

use std::{collections::BTreeMap, env, fmt::Write as _, fs, path::PathBuf};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{containers, doctor, policy};
use crate::{
    policy::AuditEvent,
    render::{
        fixtures,
        json::{write_json, write_ndjson},
        view::{
            DnsView, FlowView, LookupView, Report, Row, SchedView, Summary, SyscallView, TcpView,
        },
    },
};

#[path = "../../../tests/src/schema.rs"]
#[expect(
    unreachable_pub,
    reason = "the crate of the integration tests exports it"
)]
mod validate;

use validate::errors;

/// The output of a command.
pub(super) struct Document {
    /// Its `type`.
    name: &'static str,
    /// Which command prints it.
    command: &'static str,
    schema: Value,
}

/// The objects of one type.
pub(super) fn document<T: Row + JsonSchema>(command: &'static str) -> Document {
    let mut schema = tidied::<T>();
    envelope(&mut schema, T::TYPE);
    Document {
        name: T::TYPE,
        command,
        schema,
    }
}

fn documents() -> Vec<Document> {
    let mut documents = vec![
        document::<SyscallView>("syscalls"),
        document::<SchedView>("runqlat, offcpu"),
        document::<FlowView>("flows, tcp --connections"),
        document::<TcpView>("tcp"),
        document::<DnsView>("dns"),
        document::<LookupView>("dns -o ndjson"),
        report(),
        document::<Summary>("all tools, last line of -o ndjson"),
        doctor::document(),
    ];
    documents.extend(containers::documents());
    documents.extend(policy::schema::documents());
    documents.push(audit());
    documents
}

/// What a tool prints with `-o json`: a summary, and rows of the types above.
fn report() -> Document {
    let mut document = document::<Summary>("all tools, -o json");
    document.name = <Report<SyscallView> as Row>::TYPE;
    envelope(&mut document.schema, document.name);
    let rows = json!({
        "description": "Objects of the type that the tool's -o ndjson prints, each with its own type and schema.",
        "type": "array",
        "items": {
            "type": "object",
            "required": ["type", "schema"],
            "properties": {"type": {"type": "string"}, "schema": {"type": "string"}},
        },
    });
    document.schema["properties"]["rows"] = rows;
    push_required(&mut document.schema, "rows");
    document
}

/// A record of the audit log: all fields of a record of the flow log, and those about policies.
fn audit() -> Document {
    let mut schema = tidied::<AuditEvent<'static>>();
    let flow = fs::read_to_string(repository("docs/schema/nodeprobe.flow-1.json")).unwrap();
    let flow: Value = serde_json::from_str(&flow).unwrap();
    for (name, field) in flow["properties"].as_object().unwrap() {
        schema["properties"][name] = field.clone();
    }
    for name in flow["required"].as_array().unwrap() {
        push_required(&mut schema, name.as_str().unwrap());
    }
    envelope(&mut schema, "audit");
    Document {
        name: "audit",
        command: "policy audit -o ndjson, policy.log",
        schema,
    }
}

fn tidied<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = serde_json::to_value(generator.into_root_schema_for::<T>()).unwrap();
    tidy(&mut schema);
    schema
}

/// Absent fields are left out and never null; integers have no other size than JSON's.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            for key in ["additionalProperties", "unevaluatedProperties"] {
                if object.get(key) == Some(&Value::Bool(false)) {
                    object.remove(key);
                }
            }
            if object.get("default").is_some_and(|it| !it.is_object()) {
                object.remove("default");
            }
            let format = object.get("format").and_then(Value::as_str);
            if format.is_some_and(|it| it.starts_with("uint") || it == "double") {
                object.remove("format");
            }
            if let Some(Value::Array(types)) = object.get("type") {
                let known = types.iter().find(|it| **it != "null").cloned();
                object.insert("type".into(), known.unwrap());
            }
            let null = json!({"type": "null"});
            if let Some(Value::Array(choices)) = object.get("anyOf")
                && choices.contains(&null)
            {
                let choice = choices.iter().find(|it| **it != null).cloned().unwrap();
                object.remove("anyOf");
                object.extend(choice.as_object().unwrap().clone());
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ").replace(['`', '[', ']'], "");
            }
        }
        _ => {}
    }
}

fn push_required(schema: &mut Value, name: &str) {
    if schema.get("required").is_none() {
        schema["required"] = json!([]);
    }
    let required = schema["required"].as_array_mut().unwrap();
    if !required.iter().any(|it| it == name) {
        required.push(name.into());
    }
}

/// What all objects begin with.
fn envelope(schema: &mut Value, name: &str) {
    schema["title"] = format!("nodeprobe.{name}/1").into();
    schema["properties"]["type"] =
        json!({"description": "Kind of object.", "type": "string", "const": name});
    schema["properties"]["schema"] = json!({
        "description": "Schema of this object. The minor version counts added fields.",
        "type": "string",
        "pattern": format!(r"^nodeprobe\.{name}/1\.\d+$"),
    });
    push_required(schema, "type");
    push_required(schema, "schema");
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(path)
}

/// Compares a text with a file of the repository, or writes that file when `UPDATE_GOLDEN` is set.
fn assert_golden(path: &str, text: &str) {
    let file = repository(path);
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, text).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        text == golden,
        "{path} is out of date; UPDATE_GOLDEN=1 accepts"
    );
}

/// What a field holds, in words.
fn kind(name: &str, form: &Value) -> String {
    let constants = |choices: &Value| {
        let choices = choices.as_array().into_iter().flatten();
        let names = choices.filter_map(|it| it.get("const").unwrap_or(it).as_str());
        let names: Vec<String> = names.map(|it| format!("`{it}`")).collect();
        names.join(", ")
    };
    if let Some(path) = form["$ref"].as_str() {
        let name = path.trim_start_matches("#/$defs/");
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(constant) = form["const"].as_str() {
        return format!("`{constant}`");
    }
    if form.get("anyOf").is_some() {
        return "string, an IP address".into();
    }
    if form.get("oneOf").is_some() {
        return format!("one of {}", constants(&form["oneOf"]));
    }
    if form.get("enum").is_some() {
        return format!("one of {}", constants(&form["enum"]));
    }
    let unit = if name.ends_with("_ns") { ", ns" } else { "" };
    match form["type"].as_str() {
        Some("array") => format!("list of {}", kind("", &form["items"])),
        Some("object") => match form.get("additionalProperties") {
            Some(values) => format!("object of {}", kind("", values)),
            None => "object".into(),
        },
        Some(other) => format!("{other}{unit}"),
        None => "any".into(),
    }
}

fn table(text: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        let kind = kind("", schema);
        writeln!(text, "{kind}.\n").unwrap();
        return;
    };
    text.push_str("| Field | Type | |\n|---|---|---|\n");
    let first = ["type", "schema"]
        .into_iter()
        .filter_map(|it| properties.get_key_value(it));
    let others = properties
        .iter()
        .filter(|(name, _)| !["type", "schema"].contains(&name.as_str()));
    for (name, form) in first.chain(others) {
        let is_required = schema["required"]
            .as_array()
            .is_some_and(|it| it.contains(&json!(name)));
        let optional = if is_required { "" } else { "?" };
        let meaning = form["description"].as_str().unwrap_or_default();
        writeln!(
            text,
            "| `{name}`{optional} | {} | {meaning} |",
            kind(name, form)
        )
        .unwrap();
    }
    text.push('\n');
}

fn page() -> String {
    let mut text = String::from(include_str!("schema/page.md"));
    let mut objects = BTreeMap::new();
    for Document {
        name,
        command,
        schema,
    } in documents()
    {
        let meaning = schema["description"].as_str().unwrap_or_default();
        writeln!(text, "## `{name}`\n\n`nodeprobe {command}`. {meaning}\n").unwrap();
        if name == "audit" {
            text.push_str("It has all fields of a [record of the flow log](flow-log.md), and:\n\n");
            table(&mut text, &tidied::<AuditEvent<'static>>());
        } else {
            table(&mut text, &schema);
        }
        for (name, form) in schema["$defs"].as_object().into_iter().flatten() {
            objects.insert(name.clone(), form.clone());
        }
    }
    text.push_str("## Parts of objects\n\n");
    for (name, schema) in objects {
        let meaning = schema["description"].as_str().unwrap_or_default();
        writeln!(text, "### {name}\n\n{meaning}\n").unwrap();
        table(&mut text, &schema);
    }
    text.trim_end().to_owned() + "\n"
}

#[test]
fn the_schemas_are_those_of_the_types() {
    for Document { name, schema, .. } in documents() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        assert_golden(&format!("docs/schema/nodeprobe.{name}-1.json"), &text);
    }
}

#[test]
fn the_page_of_json_output_is_what_the_types_say() {
    assert_golden("docs/json.md", &page());
}

#[test]
fn every_field_is_explained() {
    for Document { name, schema, .. } in documents() {
        let objects = schema["$defs"].as_object().into_iter().flatten();
        let all = objects
            .map(|(name, form)| (name.as_str(), form))
            .chain([(name, &schema)]);
        for (object, form) in all {
            for (field, form) in form["properties"].as_object().into_iter().flatten() {
                assert!(form.get("description").is_some(), "{object}.{field}");
            }
        }
    }
}

#[test]
fn reports_are_valid_by_their_schemas() {
    let schemas: Map<String, Value> = documents()
        .into_iter()
        .map(|document| (document.name.to_owned(), document.schema))
        .collect();
    let check = |object: &Value| {
        let name = object["type"].as_str().unwrap();
        let found = errors(&schemas[name], object);
        assert!(found.is_empty(), "{object:#}: {found:#?}");
    };
    fn printed<R: Row>(report: &Report<R>) -> Vec<Value> {
        let (mut lines, mut whole) = (Vec::new(), Vec::new());
        write_ndjson(&mut lines, report).unwrap();
        write_json(&mut whole, report).unwrap();
        let lines = String::from_utf8(lines).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let rows = whole["rows"].as_array().unwrap().clone();
        lines.chain(rows).chain([whole]).collect()
    }
    let sched = fixtures::sched();
    let summary = &sched.summary;
    let empty = |kind| Report {
        summary: summary.clone(),
        rows: vec![kind],
    };
    let all = [
        printed(&sched),
        printed(&fixtures::syscalls()),
        printed(&fixtures::processes()),
        printed(&empty(TcpView::default())),
    ];
    all.iter().flatten().for_each(check);
}

#[test]
fn what_a_schema_does_not_know_is_an_error() {
    let schema = document::<SyscallView>("syscalls").schema;
    let report = fixtures::syscalls();
    let mut out = Vec::new();
    write_json(&mut out, &report.rows[0]).unwrap();
    let good: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(errors(&schema, &good), Vec::<String>::new());
    let changes = [
        ("calls", json!("many")),
        ("calls", json!(-1)),
        ("schema", json!("nodeprobe.syscall/2.0")),
        ("surprise", json!(1)),
        ("container", json!({"runtime": "docker"})),
    ];
    for (field, value) in changes {
        let mut bad = good.clone();
        bad[field] = value;
        assert_ne!(errors(&schema, &bad), Vec::<String>::new(), "{field}");
    }
}
