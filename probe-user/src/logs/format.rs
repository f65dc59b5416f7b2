//! How a line looks.

use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

use serde_json::Value;
use tracing::{
    Level,
    field::{Field, Visit},
};

/// What an event says.
#[derive(Default)]
pub(super) struct Message {
    pub(super) text: String,
    /// In the order of the event.
    pub(super) fields: Vec<(&'static str, Value)>,
}

impl Message {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.text = text,
            ("message", value) => self.text = value.to_string(),
            // How the `log` crate's records carry what stands in the metadata already.
            (name, _) if name.starts_with("log.") => {}
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.add(field, text.into());
    }
}

/// `2026-01-31T12:00:00.000000000Z WARN  target: text key=value`
pub(super) fn text(
    at: SystemTime,
    level: Level,
    target: &str,
    m: &Message,
    colour: bool,
) -> String {
    let time = humantime::format_rfc3339_millis(at);
    let code = match level {
        Level::ERROR => "31",
        Level::WARN => "33",
        Level::INFO => "32",
        _ => "2",
    };
    let level = format!("{level:<5}");
    let level = if colour {
        format!("\x1b[{code}m{level}\x1b[0m")
    } else {
        level
    };
    let mut line = format!("{time} {level} {target}: {}", harmless(&m.text));
    for (name, value) in &m.fields {
        let plain = |text: &str| !text.is_empty() && !text.contains([' ', '"', '=']);
        let shown = match value {
            Value::String(text) if plain(text) => harmless(text),
            other => other.to_string(),
        };
        // Writing to a string cannot fail.
        write!(line, " {name}={shown}").ok();
    }
    line
}

/// `{"ts":"..","level":"..","target":"..","msg":"..",..}`
pub(super) fn json(at: SystemTime, level: Level, target: &str, message: &Message) -> String {
    let level = level.as_str().to_lowercase();
    let head = [
        (
            "ts",
            Value::String(humantime::format_rfc3339_nanos(at).to_string()),
        ),
        ("level", level.into()),
        ("target", target.into()),
        ("msg", message.text.as_str().into()),
    ];
    let mut line = String::from("{");
    for (name, value) in &head {
        write!(line, "\"{name}\":{value},").ok();
    }
    for (name, value) in &message.fields {
        let taken = head.iter().any(|(head, _)| head == name);
        let name = if taken {
            format!("{name}_")
        } else {
            (*name).to_owned()
        };
        write!(line, "{}:{value},", Value::String(name)).ok();
    }
    line.pop();
    line.push('}');
    line
}

/// Control characters could move the cursor or forge a line; names of containers come from strangers.
fn harmless(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let shown = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.into()
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn message() -> Message {
        Message {
            text: "bad\nnews".into(),
            fields: vec![
                ("count", 3.into()),
                ("msg", "a b".into()),
                ("name", "\x1b[2J".into()),
            ],
        }
    }

    fn at() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(1_500_000_000_000_000_001)
    }

    #[test]
    fn text_stays_in_one_line_and_harmless() {
        let line = text(at(), Level::WARN, "agent", &message(), false);
        assert_eq!(
            line,
            "2017-07-14T02:40:00.000Z WARN  agent: bad\\nnews count=3 msg=\"a b\" name=\\u{1b}[2J"
        );
    }

    #[test]
    fn json_is_one_object_with_time_first_and_no_name_twice() {
        let line = json(at(), Level::INFO, "agent", &message());
        assert!(line.starts_with("{\"ts\":\"2017-07-14T02:40:00.000000001Z\",\"level\":\"info\","));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["msg"], "bad\nnews");
        assert_eq!(value["msg_"], "a b");
        assert_eq!(value["count"], 3);
        assert!(!line.contains('\n'));
    }
}
