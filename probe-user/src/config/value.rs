//! Values as they stand in a file, a variable or an argument, and their way into checked types.

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use toml::{Spanned, de::DeValue};

use crate::limits::CONFIG_ENTRIES;

/// A value before it is checked.
pub(super) enum Value<'a> {
    /// From a file, with its type.
    Toml(&'a DeValue<'a>),
    /// From a variable or an argument: only text.
    Text(&'a str),
}

impl Value<'_> {
    /// A switch.
    pub(super) fn boolean(&self) -> Result<bool, String> {
        match self {
            Self::Toml(value) => value.as_bool(),
            Self::Text(text) => text.parse().ok(),
        }
        .ok_or_else(|| self.wrong("true or false"))
    }

    /// A whole number in a range.
    pub(super) fn integer(&self, range: RangeInclusive<u32>) -> Result<u32, String> {
        let number = match self {
            Self::Toml(value) => value
                .as_integer()
                .and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok()),
            Self::Text(text) => text.parse().ok(),
        };
        number
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| range.contains(n))
            .ok_or_else(|| {
                self.wrong(format!(
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }

    /// Text that is not longer than a label value should be.
    pub(super) fn text(&self) -> Result<String, String> {
        let fits = |text: &&str| text.len() <= 253 && !text.contains(char::is_control);
        self.str()
            .filter(fits)
            .map(str::to_owned)
            .ok_or_else(|| self.wrong("a text of at most 253 bytes in one line"))
    }

    /// Text that is not longer than a path may be.
    pub(super) fn text_for(&self, allowed: &str) -> Result<String, String> {
        let fits = |text: &&str| text.len() < 4096 && !text.contains(char::is_control);
        self.str()
            .filter(fits)
            .map(str::to_owned)
            .ok_or_else(|| self.wrong(allowed))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let given = self.str();
        let found = words.iter().find(|(word, _)| Some(*word) == given);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            self.wrong(words.join(" or "))
        })
    }

    /// A socket address; `localhost` and no host at all stand for addresses of IPv4.
    pub(super) fn listen(&self) -> Result<SocketAddr, String> {
        let given = self.str().and_then(|text| {
            let with_host = match text.rsplit_once(':') {
                Some(("", port)) => Some((Ipv4Addr::UNSPECIFIED, port)),
                Some(("localhost", port)) => Some((Ipv4Addr::LOCALHOST, port)),
                _ => None,
            };
            match with_host {
                Some((host, port)) => Some((host, port.parse().ok()?).into()),
                None => text.parse().ok(),
            }
        });
        given.ok_or_else(|| {
            self.wrong("an address such as \"127.0.0.1:9435\", \"localhost:9435\" or \":9435\"")
        })
    }

    /// A duration with its unit: `10s`, `1m30s`, `250ms`.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Result<Duration, String> {
        let given = self
            .str()
            .and_then(|text| humantime::parse_duration(text).ok());
        given
            .filter(|duration| range.contains(duration))
            .ok_or_else(|| {
                let [least, most] = [range.start(), range.end()].map(|d| duration_text(*d));
                self.wrong(format!(
                    "a duration such as \"1m30s\", from {least} to {most}"
                ))
            })
    }

    /// A size in bytes with its unit: `64MiB`.
    pub(super) fn size(&self, range: RangeInclusive<u64>) -> Result<u64, String> {
        let given = self.str().and_then(|text| text.parse::<ByteSize>().ok());
        given
            .map(|size| size.as_u64())
            .filter(|size| range.contains(size))
            .ok_or_else(|| {
                let [least, most] = [range.start(), range.end()].map(|bytes| size_text(*bytes));
                self.wrong(format!("a size such as \"64MiB\", from {least} to {most}"))
            })
    }

    /// A list of absolute paths; in a variable they are separated by commas.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, String> {
        const ALLOWED: &str = "a list of absolute paths such as [\"/run/docker.sock\"]";
        let texts = self.texts(',', ALLOWED)?;
        let paths: Vec<PathBuf> = texts.into_iter().map(PathBuf::from).collect();
        if paths.iter().all(|path| path.is_absolute()) {
            Ok(paths)
        } else {
            Err(self.wrong(ALLOWED))
        }
    }

    /// A list of texts; in a variable they are separated by this character.
    pub(super) fn texts(&self, separator: char, allowed: &str) -> Result<Vec<&str>, String> {
        let texts: Option<Vec<&str>> = match self {
            Self::Toml(value) => value
                .as_array()
                .and_then(|list| list.iter().map(|v| v.get_ref().as_str()).collect()),
            Self::Text("") => Some(Vec::new()),
            Self::Text(text) => Some(text.split(separator).collect()),
        };
        texts
            .filter(|texts| texts.len() <= CONFIG_ENTRIES)
            .ok_or_else(|| self.wrong(allowed))
    }

    /// Numbers by name; in a variable `name=1,other=2`.
    pub(super) fn numbers(
        &self,
        range: RangeInclusive<u32>,
    ) -> Result<BTreeMap<String, u32>, String> {
        let example = "a table of names and whole numbers such as { calls = 1000 }";
        let mut numbers = BTreeMap::new();
        match self {
            Self::Toml(value) => {
                let table = value.as_table().ok_or_else(|| self.wrong(example))?;
                for (name, value) in table {
                    let number = Value::Toml(value.get_ref()).integer(range.clone());
                    let number = number.map_err(|why| format!("`{}` {why}", name.get_ref()))?;
                    numbers.insert(name.get_ref().clone().into_owned(), number);
                }
            }
            Self::Text(text) => {
                for pair in text.split(',').filter(|pair| !pair.is_empty()) {
                    let (name, number) = pair.split_once('=').ok_or_else(|| self.wrong(example))?;
                    numbers.insert(name.to_owned(), Value::Text(number).integer(range.clone())?);
                }
            }
        }
        if numbers.len() > CONFIG_ENTRIES {
            return Err(format!("must have at most {CONFIG_ENTRIES} entries"));
        }
        Ok(numbers)
    }

    fn str(&self) -> Option<&str> {
        match self {
            Self::Toml(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    fn wrong(&self, allowed: impl Display) -> String {
        let given = match self {
            Self::Toml(value) => shown(value),
            Self::Text(text) => format!("\"{}\"", cut(text)),
        };
        format!("must be {allowed}, not {given}")
    }
}

/// A value from a file in a message, never long.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", cut(text)),
        DeValue::Integer(number) => cut(number.as_str()),
        DeValue::Float(number) => cut(number.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(list) => match list.iter().map(Spanned::get_ref).find(|v| !v.is_str()) {
            Some(odd) => format!("a list with {}", shown(odd)),
            None => "this list".into(),
        },
        DeValue::Table(_) => "a table".into(),
    }
}

fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}

/// A duration as it is written in the configuration: `1m30s`.
pub(super) fn duration_text(duration: Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

/// A size as it is written in the configuration, in the largest unit that divides it.
pub(super) fn size_text(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = UNITS
        .iter()
        .find(|(_, shift)| bytes != 0 && bytes.trailing_zeros() >= *shift);
    unit.map_or_else(
        || format!("{bytes}B"),
        |(unit, shift)| format!("{}{unit}", bytes >> shift),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_and_sizes_need_a_unit_and_keep_to_their_range() {
        let second = Duration::from_secs(1);
        let read = |text| Value::Text(text).duration(second..=60 * second);
        assert_eq!(read("1m"), Ok(60 * second));
        assert_eq!(read("1500ms"), Ok(second * 3 / 2));
        for bad in [
            "",
            "10",
            "-1s",
            "61s",
            "1 parsec",
            "999999999999999999999y",
            "500ms",
        ] {
            assert!(read(bad).unwrap_err().contains("from 1s to 1m"), "{bad}");
        }
        let read = |text| Value::Text(text).size(1 << 20..=1 << 30);
        assert_eq!(read("64MiB"), Ok(64 << 20));
        assert_eq!(read("1GiB"), Ok(1 << 30));
        for bad in ["", "many", "1KiB", "2GiB", "-1MiB", "NaN MiB"] {
            assert!(
                read(bad).unwrap_err().contains("from 1MiB to 1GiB"),
                "{bad}"
            );
        }
    }

    #[test]
    fn lists_and_tables_have_a_form_for_variables() {
        assert_eq!(Value::Text("/a,/b").paths().unwrap().len(), 2);
        assert_eq!(Value::Text("").paths(), Ok(Vec::new()));
        assert!(Value::Text("relative").paths().is_err());
        let numbers = Value::Text("a=1,b=2").numbers(0..=9).unwrap();
        assert_eq!(
            numbers.into_iter().collect::<Vec<_>>(),
            [("a".into(), 1), ("b".into(), 2)]
        );
        assert!(Value::Text("a").numbers(0..=9).is_err());
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_written(bytes in 1u64..1 << 50) {
            prop_assert_eq!(Value::Text(&size_text(bytes)).size(0..=u64::MAX), Ok(bytes));
        }

        #[test]
        fn a_duration_reads_back_as_written(ms in 0u64..1 << 40) {
            let duration = Duration::from_millis(ms);
            let text = duration_text(duration);
            prop_assert_eq!(Value::Text(&text).duration(Duration::ZERO..=Duration::MAX), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            let value = Value::Text(&text);
            for why in [
                value.boolean().err(),
                value.integer(0..=5).err(),
                value.duration(Duration::ZERO..=Duration::MAX).err(),
                value.size(0..=u64::MAX).err(),
                value.paths().err(),
                value.numbers(0..=5).err(),
            ].into_iter().flatten() {
                prop_assert!(why.len() < 1000);
            }
        }
    }
}
