//! Reports for programs.
//!
//! JSON escapes only what its grammar demands, which lets through characters that steer some
//! terminals. They are escaped as well: the text means the same to a parser and is harmless when
//! printed.

use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::{
    text::is_harmless,
    view::{Report, Row},
};

/// Version of all schemas but those of the flow log. The minor part counts added fields, the major one all other changes.
const VERSION: &str = "1.0";

/// Writes an object with its type and schema, indented.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json<R: Row>(out: &mut impl Write, object: &R) -> io::Result<()> {
    let text = serde_json::to_string_pretty(&Typed::new(object))?;
    writeln!(out, "{}", harmless(&text))
}

/// Writes a report as one object a line: the rows, then the rest as an object of type `summary`.
///
/// # Errors
///
/// Those of `out`.
pub fn write_ndjson<R: Row>(out: &mut impl Write, report: &Report<R>) -> io::Result<()> {
    let Report { summary, rows } = report;
    for row in rows {
        write_row(out, row)?;
    }
    write_row(out, summary)
}

/// Writes an object with its type and schema in a line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_row<R: Row>(out: &mut impl Write, row: &R) -> io::Result<()> {
    let text = serde_json::to_string(&Typed::new(row))?;
    writeln!(out, "{}", harmless(&text))
}

#[derive(Serialize)]
struct Typed<'a, T> {
    r#type: &'static str,
    schema: String,
    #[serde(flatten)]
    fields: &'a T,
}

impl<'a, R: Row> Typed<'a, R> {
    fn new(fields: &'a R) -> Self {
        Self {
            r#type: R::TYPE,
            schema: format!("nodeprobe.{}/{VERSION}", R::TYPE),
            fields,
        }
    }
}

/// Rows with their types and schemas.
pub(crate) fn typed<R: Row, S: Serializer>(rows: &[R], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(Typed::new))
}

/// Escapes what is not harmless. Outside strings JSON has only line breaks of that kind.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_harmless(c) {
            text.push(c);
        } else {
            let mut units = [0; 2];
            text.extend(
                c.encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}")),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::render::fixtures;

    fn lines(report: &Report<impl Row>) -> Vec<Value> {
        let mut out = Vec::new();
        write_ndjson(&mut out, report).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn object(report: &Report<impl Row>) -> Value {
        let mut out = Vec::new();
        write_json(&mut out, report).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn a_report_is_one_object_with_the_documented_fields() {
        let object = object(&fixtures::syscalls());
        let mut keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                "by",
                "duration_ns",
                "lost",
                "notes",
                "rows",
                "schema",
                "start",
                "tool",
                "type"
            ]
        );
        assert_eq!(object["start"], "2026-01-02T03:04:05.000000000Z");
        assert_eq!(object["schema"], "nodeprobe.report/1.0");
        assert_eq!(object["by"], "container,syscall");
        let row = &object["rows"][0];
        assert_eq!(row["container"]["pod"], "cart-7d9f8b6c5-x2x4z");
        assert_eq!(row["syscall"], "epoll_wait");
        assert_eq!(row["errnos"], json!({"EINTR": 12}));
        assert!(row.get("process").is_none());
        assert_eq!(row["schema"], "nodeprobe.syscall/1.0");
        assert!(row["latency"]["p99_ns"].is_u64());
    }

    #[test]
    fn reports_of_intervals_are_one_object_a_line() {
        let (mut out, report) = (Vec::new(), fixtures::syscalls());
        for _ in 0..2 {
            write_row(&mut out, &report).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            assert_eq!(
                serde_json::from_str::<Value>(line).unwrap(),
                object(&report)
            );
        }
    }

    #[test]
    fn a_stream_has_one_line_a_row_and_a_summary_at_its_end() {
        let report = fixtures::sched();
        let lines = lines(&report);
        assert_eq!(lines.len(), report.rows.len() + 1);
        assert!(
            lines[..report.rows.len()]
                .iter()
                .all(|line| line["type"] == "sched")
        );
        assert_eq!(lines[0]["voluntary_switches"], 40_211);
        assert_eq!(lines[report.rows.len()]["type"], "summary");
        assert_eq!(lines[report.rows.len()]["tool"], "runqlat");
    }

    proptest! {
        #[test]
        fn names_survive_and_never_reach_the_terminal_raw(name: String) {
            let mut report = fixtures::syscalls();
            report.rows.truncate(1);
            report.rows[0].container.name = name.clone();
            let mut out = Vec::new();
            write_ndjson(&mut out, &report).unwrap();
            let text = String::from_utf8(out).unwrap();
            prop_assert!(text.chars().all(|c| c == '\n' || is_harmless(c)));
            prop_assert_eq!(text.lines().count(), 2);
            prop_assert_eq!(&lines(&report)[0]["container"]["name"], &json!(name));
            prop_assert_eq!(&object(&report)["rows"][0]["container"]["name"], &json!(name));
        }
    }
}
