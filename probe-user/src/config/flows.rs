//! Values of the section `flows` that are no plain words.

use std::{fmt, path::PathBuf, time::Duration};

use super::value::{Value, duration_text};
use crate::{limits, select::Rule};

/// Where records of flows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowTarget {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To a file, with older ones beside it.
    File(PathBuf),
}

/// When the files of the flow log are brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowFsync {
    /// When the kernel likes.
    Never,
    /// When one is put aside, and at the end.
    Rotation,
    /// Also so long after a record was written.
    After(Duration),
}

/// Rules for flows, in a variable separated by semicolons.
pub(super) fn rules(value: &Value<'_>) -> Result<Vec<Rule>, String> {
    let texts = value.texts(';', "a list of rules such as [\"transport=udp port=53\"]")?;
    let (rules, faults): (Vec<_>, Vec<_>) = texts
        .into_iter()
        .map(|text| {
            text.parse::<Rule>()
                .map_err(|why| format!("{text:?}: {why}"))
        })
        .partition(Result::is_ok);
    let faults: Vec<String> = faults.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() {
        Ok(rules.into_iter().flatten().collect())
    } else {
        Err(faults.join("; "))
    }
}

/// Rules that a program in the kernel can check.
pub(super) fn ignored(value: &Value<'_>) -> Result<Vec<Rule>, String> {
    let rules = rules(value)?;
    let faults: Vec<String> = rules
        .iter()
        .filter(|rule| rule.asks_owners() || rule.asks_initiator())
        .map(|rule| {
            format!(
                "\"{rule}\": the kernel knows cidr, port and transport only; `flows.exclude` leaves out of the log by others"
            )
        })
        .collect();
    if faults.is_empty() {
        Ok(rules)
    } else {
        Err(faults.join("; "))
    }
}

impl FlowTarget {
    pub(super) fn read(value: &Value<'_>) -> Result<Self, String> {
        const ALLOWED: &str = "\"off\", \"-\" or the path of a file";
        match value.text_for(ALLOWED)?.as_str() {
            "" => Err(format!("must be {ALLOWED}, not empty")),
            "off" => Ok(Self::Off),
            "-" => Ok(Self::Stdout),
            path if path.ends_with('/') => Err(format!("must be {ALLOWED}, not a directory")),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl fmt::Display for FlowTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.pad("off"),
            Self::Stdout => f.pad("-"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl FlowFsync {
    pub(super) fn read(value: &Value<'_>) -> Result<Self, String> {
        const WORDS: &[(&str, FlowFsync)] = &[
            ("never", FlowFsync::Never),
            ("rotation", FlowFsync::Rotation),
        ];
        value
            .word(WORDS)
            .or_else(|_| {
                let range = limits::FLOW_FSYNC_MIN..=limits::FLOW_FSYNC_MAX;
                value.duration(range).map(Self::After)
            })
            .map_err(|why| why.replacen("must be ", "must be \"never\" or \"rotation\" or ", 1))
    }
}

impl fmt::Display for FlowFsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.pad("never"),
            Self::Rotation => f.pad("rotation"),
            Self::After(time) => f.pad(&duration_text(*time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_off_standard_output_or_a_file() {
        let read = |text| FlowTarget::read(&Value::Text(text));
        assert_eq!(read("off"), Ok(FlowTarget::Off));
        assert_eq!(read("-"), Ok(FlowTarget::Stdout));
        assert_eq!(
            read("/var/log/f"),
            Ok(FlowTarget::File("/var/log/f".into()))
        );
        for bad in ["", "/var/log/", "a\nb"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn files_are_brought_to_the_disk_never_at_rotation_or_after_a_time() {
        let read = |text| FlowFsync::read(&Value::Text(text));
        for text in ["never", "rotation", "5s"] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let why = read("often").unwrap_err();
        assert!(
            why.starts_with("must be \"never\" or \"rotation\" or a duration"),
            "{why}"
        );
        assert!(read("1ms").is_err());
    }
}
