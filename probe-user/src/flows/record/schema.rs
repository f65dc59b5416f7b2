//! The JSON Schema and the tables of the documentation, which are written from the declarations of the records.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    BalanceRecord, FlowRecord, GapRecord, LossRecord,
    tests::{assert_golden, golden, repository},
};
use crate::flows::field::described::{Described, Kind};

/// All kinds of records.
const RECORDS: [(&str, &[Described]); 4] = [
    ("flow", FlowRecord::FIELDS),
    ("loss", LossRecord::FIELDS),
    ("gap", GapRecord::FIELDS),
    ("balance", BalanceRecord::FIELDS),
];

/// Pattern of a time.
const TIME: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z$";

fn name(field: &Described) -> &'static str {
    field.name.trim_start_matches("r#")
}

fn form(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Address => {
            json!({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]})
        }
        Kind::Time => json!({"type": "string", "format": "date-time", "pattern": TIME}),
        Kind::Id => json!({"type": "string", "pattern": r"^\d{1,20}$"}),
        Kind::Unsigned => json!({"type": "integer", "minimum": 0}),
        Kind::Signed => json!({"type": "integer"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::List => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Counts => json!({
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 0},
        }),
    }
}

fn schema(record: &str, fields: &[Described]) -> Value {
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| !field.optional)
        .map(name)
        .collect();
    let mut properties = Map::new();
    for field in fields {
        let mut form = form(field.kind);
        form["description"] = field.meaning.trim().replace('`', "").into();
        if name(field) == "type" {
            form["const"] = record.into();
        }
        if name(field) == "schema" {
            form["pattern"] = format!(r"^nodeprobe\.{record}/1\.\d+$").into();
        }
        properties.insert(name(field).into(), form);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("nodeprobe.{record}/1"),
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn unit(field: &Described) -> &'static str {
    let name = name(field);
    match field.kind {
        Kind::Time => "RFC 3339, UTC",
        Kind::Id => "64 bits, decimal",
        Kind::Unsigned if name.ends_with("_ns") => "ns",
        Kind::Unsigned if name.contains("bytes") => "bytes",
        Kind::Unsigned if name.contains("packets") || name.starts_with("drops") => "packets",
        Kind::Unsigned if name.contains("segments") || name.contains("retransmits") => "segments",
        Kind::Counts if name == "drop_reasons" => "packets by name",
        Kind::Counts if name.starts_with("lost") => "units by name",
        _ => "",
    }
}

fn table(fields: &[Described]) -> String {
    let mut table = String::from("| Field | Type | Unit | |\n|---|---|---|---|\n");
    for field in fields {
        let kind = match field.kind {
            Kind::Text | Kind::Address | Kind::Time | Kind::Id => "string",
            Kind::Unsigned | Kind::Signed => "integer",
            Kind::Bool => "bool",
            Kind::List => "list of strings",
            Kind::Counts => "object of integers",
        };
        let optional = if field.optional { "?" } else { "" };
        let (name, unit, meaning) = (name(field), unit(field), field.meaning.trim());
        writeln!(
            table,
            "| `{name}`{optional} | {kind} | {unit} | {meaning} |"
        )
        .unwrap();
    }
    table
}

#[test]
fn the_schemas_are_those_of_the_declarations() {
    for (record, fields) in RECORDS {
        let schema = serde_json::to_string_pretty(&schema(record, fields)).unwrap();
        assert_golden(
            &format!("docs/schema/nodeprobe.{record}-1.json"),
            &format!("{schema}\n"),
        );
    }
}

#[test]
fn the_tables_of_the_documentation_are_those_of_the_declarations() {
    const PAGE: &str = "docs/flow-log.md";
    let page = std::fs::read_to_string(repository(PAGE)).unwrap();
    let mut written = page.clone();
    for (record, fields) in RECORDS {
        let (begin, end) = (
            format!("<!-- {record} -->\n"),
            format!("<!-- end of {record} -->"),
        );
        let from = written.find(&begin).expect("each record has a table") + begin.len();
        let to = written.find(&end).expect("each table has an end");
        written.replace_range(from..to, &table(fields));
    }
    assert_golden(PAGE, &written);
}

#[test]
fn the_golden_records_are_valid_by_the_schemas_and_use_every_field() {
    let mut unused: Vec<(&str, &str)> = RECORDS
        .iter()
        .flat_map(|(record, fields)| fields.iter().map(|field| (*record, name(field))))
        .collect();
    for line in golden().lines() {
        let object: Map<String, Value> = serde_json::from_str(line).unwrap();
        let record = object["type"].as_str().unwrap();
        let declared = RECORDS.iter().find(|(name, _)| *name == record);
        let schema = schema(record, declared.unwrap().1);
        for required in schema["required"].as_array().unwrap() {
            assert!(
                object.contains_key(required.as_str().unwrap()),
                "{required} of {line}"
            );
        }
        for (field, value) in &object {
            let form = &schema["properties"][field];
            assert!(is_valid(value, form), "{field} of {line} by {form}");
            unused.retain(|it| *it != (record, field.as_str()));
        }
    }
    assert_eq!(unused, []);
}

/// As far as our own schemas go.
fn is_valid(value: &Value, form: &Value) -> bool {
    let valid = match form["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") if form.get("minimum").is_some() => value.is_u64(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value
            .as_array()
            .is_some_and(|items| items.iter().all(|item| is_valid(item, &form["items"]))),
        Some("object") => value.as_object().is_some_and(|items| {
            items
                .values()
                .all(|item| is_valid(item, &form["additionalProperties"]))
        }),
        _ => false,
    };
    let text = value.as_str().unwrap_or_default();
    let matches = match form["pattern"].as_str() {
        None => true,
        Some(TIME) => text.len() == 30 && humantime::parse_rfc3339(text).is_ok(),
        Some(r"^\d{1,20}$") => text.parse::<u64>().is_ok(),
        Some(_) => text.starts_with("nodeprobe.") && text.ends_with("/1.0"),
    };
    let address = form.get("anyOf").is_none() || text.parse::<std::net::IpAddr>().is_ok();
    valid && matches && address && form.get("const").is_none_or(|constant| constant == value)
}
