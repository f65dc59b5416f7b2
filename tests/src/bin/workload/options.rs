//! `--key value` pairs and flags, with defaults.

use std::{collections::HashMap, error::Error, str::FromStr};

/// Options that take no value.
const FLAGS: &[&str] = &["--go", "--hold", "--keep", "--open", "--v6"];

/// The options of one run.
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    /// Reads all arguments after the command.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = HashMap::new();
        while let Some(key) = args.next() {
            if !key.starts_with("--") {
                return Err(format!("`{key}` is not an option").into());
            }
            let value = if FLAGS.contains(&key.as_str()) {
                String::new()
            } else {
                args.next().ok_or_else(|| format!("{key} needs a value"))?
            };
            options.insert(key, value);
        }
        Ok(Self(options))
    }

    /// Whether the flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.0.contains_key(flag)
    }

    /// The option's value, if it was given.
    pub(crate) fn get<T: FromStr<Err: Error + 'static>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, Box<dyn Error>> {
        let Some(value) = self.0.get(key) else {
            return Ok(None);
        };
        value
            .parse()
            .map(Some)
            .map_err(|error| format!("{key} {value}: {error}").into())
    }

    /// The option's value or a default.
    pub(crate) fn get_or<T: FromStr<Err: Error + 'static>>(
        &self,
        key: &str,
        default: T,
    ) -> Result<T, Box<dyn Error>> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    /// The option's value, which must have been given.
    pub(crate) fn need<T: FromStr<Err: Error + 'static>>(
        &self,
        key: &str,
    ) -> Result<T, Box<dyn Error>> {
        self.get(key)?
            .ok_or_else(|| format!("{key} is needed").into())
    }
}
