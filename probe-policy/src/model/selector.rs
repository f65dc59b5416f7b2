//! Label selectors.
//!
//! Source: `LabelSelector` of Kubernetes' `meta/v1`. All requirements have to hold.

use std::fmt;

use super::Labels;

/// Selects by labels. The empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Of `matchLabels` and `matchExpressions`, in one list and without an order.
    pub requirements: Vec<Requirement>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
}

/// What is asked of a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// It is there, with one of these values.
    In(Vec<String>),
    /// It is not there, or has none of these values.
    NotIn(Vec<String>),
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl Selector {
    /// Whether it selects everything.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether it selects what has these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements
            .iter()
            .all(|r| r.holds(labels.get(&r.key).map(String::as_str)))
    }
}

impl Requirement {
    /// That a label has a value, as in `matchLabels`.
    pub fn label(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            operator: Operator::In(vec![value.into()]),
        }
    }

    /// Whether it holds for the value of its label.
    pub fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|v| values.iter().any(|w| w == v));
        match &self.operator {
            Operator::In(values) => among(values),
            Operator::NotIn(values) => !among(values),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{requirement}")?;
        }
        if self.is_everything() {
            f.write_str("everything")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    /// As kubectl spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.operator {
            Operator::In(values) => match values.as_slice() {
                [value] => write!(f, "{key}={value}"),
                _ => write!(f, "{key} in ({})", values.join(",")),
            },
            Operator::NotIn(values) => write!(f, "{key} notin ({})", values.join(",")),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn one(operator: Operator) -> Selector {
        Selector {
            requirements: vec![Requirement {
                key: "tier".into(),
                operator,
            }],
        }
    }

    #[test]
    fn an_absent_label_is_in_no_list_and_not_in_every_list() {
        let (there, other, absent) = (
            labels(&[("tier", "web")]),
            labels(&[("tier", "db")]),
            labels(&[]),
        );
        let values = || vec!["web".to_owned(), "api".to_owned()];
        for (operator, expected) in [
            (Operator::In(values()), [true, false, false]),
            (Operator::NotIn(values()), [false, true, true]),
            (Operator::Exists, [true, true, false]),
            (Operator::DoesNotExist, [false, false, true]),
        ] {
            let selector = one(operator);
            let got = [&there, &other, &absent].map(|labels| selector.matches(labels));
            assert_eq!(got, expected, "{selector}");
        }
        assert!(Selector::default().matches(&absent));
    }

    #[test]
    fn all_requirements_have_to_hold() {
        let selector = Selector {
            requirements: vec![Requirement::label("a", "1"), Requirement::label("b", "2")],
        };
        assert!(selector.matches(&labels(&[("a", "1"), ("b", "2"), ("c", "3")])));
        assert!(!selector.matches(&labels(&[("a", "1")])));
        assert_eq!(selector.to_string(), "a=1, b=2");
    }
}
