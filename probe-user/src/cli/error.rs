//! How a command ends: an exit code, and for failures a cause and a remedy.

use std::{error::Error, fmt::Write as _, io, process::ExitCode};

use crate::{config::ConfigError, kernel::btf::BtfError, privileges::Missing};

/// How a command ended; each has its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 0: all is well.
    Fine,
    /// 1: something failed.
    Failure,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: a privilege or a kernel feature is missing.
    Unsupported,
    /// 4: the command found what it was looking for, such as a failed check.
    Finding,
}

impl Kind {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unsupported => 3,
            Self::Finding => 4,
        }
    }
}

impl From<Kind> for ExitCode {
    fn from(kind: Kind) -> Self {
        Self::from(kind.code())
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct CliError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed, with its causes.
    pub source: Box<dyn Error + Send + Sync>,
    /// What the operator can do, where the message does not say it already.
    pub remedy: Option<String>,
}

impl CliError {
    /// An error of a kind.
    pub fn new(kind: Kind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            kind,
            source: source.into(),
            remedy: None,
        }
    }

    /// A plain failure.
    pub fn failure(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Failure, source)
    }

    /// A mistake on the command line that clap cannot see.
    pub fn usage(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Usage, source)
    }

    /// A missing privilege or kernel feature.
    pub fn unsupported(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Unsupported, source)
    }

    /// Says what the operator can do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Whether the reader of our output has gone, which is how `| head` ends and no failure.
    pub fn is_broken_pipe(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*self.source);
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// The lines for standard error: what failed, its causes, what to do.
    pub fn report(&self) -> String {
        let mut out = format!("error: {}\n", self.source);
        let mut said = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if !said.contains(&text) {
                writeln!(out, "cause: {text}").ok();
            }
            said = text;
            cause = error.source();
        }
        if let Some(remedy) = &self.remedy {
            writeln!(out, "remedy: {remedy}").ok();
        }
        out
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<BtfError> for CliError {
    fn from(error: BtfError) -> Self {
        Self::unsupported(error)
    }
}

impl From<Missing> for CliError {
    fn from(missing: Missing) -> Self {
        let remedy = missing.remedy();
        Self::unsupported(missing).with_remedy(remedy)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        Self::failure(error)
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::failure(error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::kernel::btf::Btf;

    #[test]
    fn a_report_names_the_failure_its_cause_and_the_remedy() {
        let error = Btf::from_file(Path::new("/nonexistent")).unwrap_err();
        let error = CliError::from(error).with_remedy("use another kernel");
        assert_eq!(
            error.report(),
            "error: no kernel type information at /nonexistent: the kernel needs \
             CONFIG_DEBUG_INFO_BTF=y\n\
             cause: No such file or directory (os error 2)\n\
             remedy: use another kernel\n"
        );
        assert_eq!(error.kind.code(), 3);
    }

    #[test]
    fn a_broken_pipe_is_seen_below_other_errors() {
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let wrapped = anyhow::Error::from(pipe).context("print the table");
        assert!(CliError::from(wrapped).is_broken_pipe());
        assert!(!CliError::failure("other").is_broken_pipe());
    }
}
