//! What is wrong with a configuration, all of it at once.

use std::{fmt, io, path::PathBuf};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error(
        "cannot read the configuration {path}; `nodeprobe agent --print-config` prints one to start from",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is not a configuration.
    #[error("{path} is larger than 1 MiB or not a regular file, so it is no configuration", path = path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Values or keys are wrong.
    #[error("{} in the configuration{}", count(.0.len()), lines(.0))]
    Faults(Vec<Fault>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// The key, as `limits.series`; empty for faults of syntax.
    pub key: String,
    /// What is wrong and what is allowed.
    pub why: String,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, with line and column from 1.
    File {
        /// The file.
        path: PathBuf,
        /// Its line.
        line: usize,
        /// Column in characters.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// An argument of the command line.
    Argument,
    /// None alone: it does not go together with another key.
    Together,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            Self::Environment(name) => f.write_str(name),
            Self::Argument => f.write_str("command line"),
            Self::Together => f.write_str("all together"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, why } = self;
        if key.is_empty() {
            write!(f, "{place}: {why}")
        } else {
            write!(f, "{place}: {key}: {why}")
        }
    }
}

fn count(n: usize) -> String {
    if n == 1 {
        "1 fault".into()
    } else {
        format!("{n} faults")
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}
