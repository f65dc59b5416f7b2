//! Puts a configuration together: defaults, below the file, below the environment, below the command line.

use std::{
    fs,
    io::Read as _,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, ConfigError, Fault, KEYS, Key, KubernetesNames, Place, value::Value};
use crate::limits::CONFIG_FILE;

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// Variables of the environment, all of them; others than ours are not looked at.
    pub environment: Vec<(String, String)>,
    /// Keys and values of the command line.
    pub arguments: Vec<(String, String)>,
}

/// Reads all sources and checks them. The host name fills in for an empty `node`.
///
/// # Errors
///
/// If the file cannot be read; else [`ConfigError::Faults`] with everything that is wrong.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    let mut faults = Vec::new();
    if let Some(path) = &sources.file {
        let text = read(path)?;
        File { path, text: &text }.apply(&mut config, &mut faults);
    }
    apply_environment(&mut config, &sources.environment, &mut faults);
    for (path, text) in &sources.arguments {
        let fault = |why| Fault {
            place: Place::Argument,
            key: path.clone(),
            why,
        };
        match KEYS.iter().find(|key| key.path == path) {
            Some(key) => faults.extend(set(key, &mut config, text).err().map(fault)),
            None => faults.push(fault(unknown(path))),
        }
    }
    config.runtimes.add_from_environment(&sources.environment);
    if config.node.is_empty() {
        config.node = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
    }
    faults.extend(disagreements(&config));
    if faults.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Faults(faults))
    }
}

/// Keys that do not go together, wherever each came from.
fn disagreements(config: &Config) -> Vec<Fault> {
    let kubernetes = &config.kubernetes;
    let needs_cluster = matches!(
        kubernetes.names,
        KubernetesNames::Off | KubernetesNames::Node
    );
    let faults = [
        (
            kubernetes.policies && config.policy.manifests.is_some(),
            "kubernetes.policies",
            "does not go together with policy.manifests: policies come from one of them",
        ),
        (
            kubernetes.policies && needs_cluster,
            "kubernetes.policies",
            "needs kubernetes.names = \"cluster\" or \"auto\": policies are about the pods of all nodes",
        ),
        (
            kubernetes.events && !kubernetes.policies,
            "kubernetes.events",
            "needs kubernetes.policies = true: Events tell of enforcement gaps",
        ),
    ];
    faults
        .into_iter()
        .filter(|(is_wrong, ..)| *is_wrong)
        .map(|(_, key, why)| Fault {
            place: Place::Together,
            key: key.into(),
            why: why.into(),
        })
        .collect()
}

/// Sets a key by the text of a variable or an argument: as it would stand in a file where it is a list, a table or in quotation marks, else
/// as plain text.
fn set(key: &Key, config: &mut Config, text: &str) -> Result<(), String> {
    let is_toml = text.trim_start().starts_with(['[', '{', '"', '\'']);
    match is_toml.then(|| DeValue::parse(text.trim())) {
        // An address of IPv6 begins like a list.
        Some(Ok(value)) => (key.set)(config, &Value::Toml(value.get_ref())),
        Some(Err(_)) | None => (key.set)(config, &Value::Text(text)),
    }
}

/// Variables that name no key are left alone: Kubernetes makes some, as `NODEPROBE_SERVICE_HOST`.
fn apply_environment(config: &mut Config, all: &[(String, String)], faults: &mut Vec<Fault>) {
    for key in KEYS {
        let variable = key.variable();
        let Some((_, text)) = all.iter().find(|(name, _)| *name == variable) else {
            continue;
        };
        if let Err(why) = set(key, config, text) {
            faults.push(Fault {
                place: Place::Environment(variable),
                key: key.path.into(),
                why,
            });
        }
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.into(),
        source,
    };
    // Looked at before it is opened: opening a named pipe would wait for a writer.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > CONFIG_FILE {
        return Err(ConfigError::NotAFile { path: path.into() });
    }
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(CONFIG_FILE)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// A file that is being read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn apply(&self, config: &mut Config, faults: &mut Vec<Fault>) {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        let broken = !errors.is_empty();
        faults.extend(errors.iter().map(|error| {
            let why = error.message().replace('\n', "; ");
            self.fault(&error.span().unwrap_or_default(), String::new(), why)
        }));
        self.table(config, "", root.get_ref(), broken, faults);
        // Tables are walked in the order of their keys.
        faults.sort_by_key(|fault| match fault.place {
            Place::File { line, column, .. } => (line, column),
            Place::Environment(_) | Place::Argument | Place::Together => (usize::MAX, 0),
        });
    }

    fn table(
        &self,
        config: &mut Config,
        section: &str,
        table: &DeTable<'_>,
        broken: bool,
        faults: &mut Vec<Fault>,
    ) {
        for (name, value) in table {
            let path = match section {
                "" => name.get_ref().to_string(),
                section => format!("{section}.{}", name.get_ref()),
            };
            if let Some(key) = KEYS.iter().find(|key| key.path == path) {
                // What the parser made up to go on after an error of syntax is nobody's fault.
                let outcome = (key.set)(config, &Value::Toml(value.get_ref()));
                if let (Err(why), false) = (outcome, broken && is_made_up(value)) {
                    faults.push(self.fault(&value.span(), path, why));
                }
            } else if !is_section(&path) {
                let why = unknown(&path);
                faults.push(self.fault(&name.span(), path, why));
            } else if let Some(inner) = value.get_ref().as_table() {
                self.table(config, &path, inner, broken, faults);
            } else if !(broken && is_made_up(value)) {
                let why = format!("is a section; write `[{path}]` and its keys below");
                faults.push(self.fault(&value.span(), path, why));
            }
        }
    }

    fn fault(&self, span: &Range<usize>, key: String, why: String) -> Fault {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |rest| rest.chars().count())
            + 1;
        Fault {
            place: Place::File {
                path: self.path.into(),
                line,
                column,
            },
            key,
            why,
        }
    }
}

/// The parser stands in an empty text of no length for a value that it could not read.
fn is_made_up(value: &Spanned<DeValue<'_>>) -> bool {
    value.span().is_empty()
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

fn unknown(path: &str) -> String {
    /// Below it two words only share some letters.
    const ALIKE: f64 = 0.8;
    let path: String = path.chars().take(100).collect();
    let name = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let alike = |key: &'static Key| {
        // The right name may stand in the wrong section.
        let moved = name(&path) == name(key.path) && name(&path) != "enabled";
        let score = if moved {
            1.0
        } else {
            strsim::jaro_winkler(&path, key.path)
        };
        (score, key.path)
    };
    let best = KEYS.iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((score, key)) if score >= ALIKE => format!("unknown key; did you mean `{key}`?"),
        _ => "unknown key; `nodeprobe agent --print-config` shows all keys".into(),
    }
}

#[cfg(test)]
mod tests;
