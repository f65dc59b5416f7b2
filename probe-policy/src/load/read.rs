//! Reads fields of objects and remembers what is wrong with them.
//!
//! A key with the value `null` is as good as absent, everywhere.

use serde_json::Value;

use super::finding::{Finding, Place, Severity};

/// Where `null` stands for an element of a list: it is decoded as an empty object.
static EMPTY: std::sync::LazyLock<Value> =
    std::sync::LazyLock::new(|| Value::Object(serde_json::Map::new()));

/// What is found in one document.
pub(super) struct Context {
    pub(super) place: Place,
    pub(super) findings: Vec<Finding>,
}

impl Context {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            findings: Vec::new(),
        }
    }

    /// An API server refuses this.
    pub(super) fn error(&mut self, field: &str, message: impl Into<String>) {
        self.findings
            .push(Finding::error(self.place.clone(), field, message));
    }

    /// An API server takes this.
    pub(super) fn warn(&mut self, field: &str, message: impl Into<String>) {
        let mut finding = Finding::error(self.place.clone(), field, message);
        finding.severity = Severity::Warning;
        self.findings.push(finding);
    }

    /// Errors until now, to see whether more came.
    pub(super) fn errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count()
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
}

impl<'a> Field<'a> {
    /// All of a document.
    pub(super) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// Path of a field of this one.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// A field, unless it is absent.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self {
            value,
            path: self.at(name),
        })
    }

    /// Follows a path of names.
    pub(super) fn follow(&self, names: &[&str]) -> Option<Self> {
        names
            .iter()
            .try_fold(self.clone(), |field, name| field.get(name))
    }

    /// A field that is a mapping.
    pub(super) fn object(&self, context: &mut Context, name: &str) -> Option<Self> {
        let field = self.get(name)?;
        if field.value.is_object() {
            return Some(field);
        }
        context.error(&field.path, "has to be a mapping");
        None
    }

    /// The elements of a field that is a list; `None` if it is absent.
    pub(super) fn items(&self, context: &mut Context, name: &str) -> Option<Vec<Self>> {
        let field = self.get(name)?;
        let Some(items) = field.value.as_array() else {
            context.error(&field.path, "has to be a list");
            return None;
        };
        let element = |(index, value): (usize, &'a Value)| {
            let path = format!("{}[{index}]", field.path);
            if value.is_null() {
                context.warn(&path, "is null, which stands for `{}`");
                return Self {
                    value: &EMPTY,
                    path,
                };
            }
            Self { value, path }
        };
        Some(items.iter().enumerate().map(element).collect())
    }

    /// A field that is text.
    pub(super) fn text(&self, context: &mut Context, name: &str) -> Option<&'a str> {
        let field = self.get(name)?;
        let text = field.value.as_str();
        if text.is_none() {
            context.error(&field.path, "has to be text; put it in quotes");
        }
        text
    }

    /// A field that is a whole number within bounds, both included.
    pub(super) fn number(
        &self,
        context: &mut Context,
        name: &str,
        bounds: (u16, u16),
    ) -> Option<u16> {
        let field = self.get(name)?;
        let (least, most) = bounds;
        let number = field
            .value
            .as_i64()
            .and_then(|number| u16::try_from(number).ok());
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!(
                "{} is not a whole number from {least} to {most}",
                field.value
            );
            context.error(&field.path, message);
        }
        number
    }

    /// Complains about keys that are dropped.
    pub(super) fn only(&self, context: &mut Context, known: &[&str]) {
        for key in self
            .value
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
        {
            if known.contains(&key.as_str()) {
                continue;
            }
            let meant = known.iter().find(|known| known.eq_ignore_ascii_case(key));
            let hint = meant.map_or_else(String::new, |meant| format!("; `{meant}` is meant"));
            context.warn(
                &self.at(key),
                format!("is not known and has no effect{hint}"),
            );
        }
    }

    /// The keys of `choices` that are there.
    pub(super) fn which<'n>(&self, choices: &[&'n str]) -> Vec<&'n str> {
        choices
            .iter()
            .copied()
            .filter(|name| self.get(name).is_some())
            .collect()
    }
}
