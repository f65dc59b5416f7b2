//! What is wrong with manifests, and where.

use std::fmt;

use serde::Serialize;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Name of the file.
    pub file: String,
    /// Which document of it, from 1.
    pub document: usize,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// An API server refuses it.
    Error,
    /// An API server takes it, or used to, but hardly as it was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where the object is.
    #[serde(flatten)]
    pub place: Place,
    /// Path of the field, such as `spec.ingress[0].ports[1].port`; empty for all of the document.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Finding {
    /// Of an error.
    pub(super) fn error(
        place: Place,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            place,
            field: field.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (document {})", self.file, self.document)
    }
}

impl fmt::Display for Finding {
    /// Such as `error: a.yaml (document 2): spec.ingress[0].from: must ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}: ", self.place)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}
