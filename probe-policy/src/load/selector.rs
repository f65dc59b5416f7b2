//! Label selectors, as strict as an API server.

use super::{
    labels::{is_key, is_value},
    read::{Context, Field},
};
use crate::model::{Operator, Requirement, Selector};

/// Reads the selector that a field is. What is wrong is in the context; then the selector is good for nothing.
pub(super) fn read(context: &mut Context, field: &Field<'_>) -> Selector {
    if !field.value.is_object() {
        context.error(
            &field.path,
            "has to be a selector: `matchLabels`, `matchExpressions`, or `{}` for all",
        );
        return Selector::default();
    }
    field.only(context, &["matchLabels", "matchExpressions"]);
    let mut requirements = Vec::new();
    let path = field.at("matchLabels");
    for (key, value) in super::labels::read(context, field, "matchLabels") {
        check_key(context, &path, &key);
        check_value(context, &path, &value);
        requirements.push(Requirement::label(key, value));
    }
    for item in field.items(context, "matchExpressions").unwrap_or_default() {
        requirements.extend(expression(context, &item));
    }
    // Without an order, so that two ways to write the same are the same.
    requirements.sort();
    requirements.dedup();
    Selector { requirements }
}

fn expression(context: &mut Context, item: &Field<'_>) -> Option<Requirement> {
    item.only(context, &["key", "operator", "values"]);
    let key = item.text(context, "key").unwrap_or_default().to_owned();
    check_key(context, &item.at("key"), &key);
    let mut values = Vec::new();
    for value in item.items(context, "values").unwrap_or_default() {
        match value.value.as_str() {
            Some(text) => values.push(text.to_owned()),
            None => context.error(&value.path, "has to be text; put it in quotes"),
        }
    }
    values
        .iter()
        .for_each(|value| check_value(context, &item.at("values"), value));
    values.sort();
    values.dedup();
    let has_values = !values.is_empty();
    let word = item.text(context, "operator").unwrap_or_default();
    let (operator, needs_values) = match word {
        "In" => (Operator::In(values), true),
        "NotIn" => (Operator::NotIn(values), true),
        "Exists" => (Operator::Exists, false),
        "DoesNotExist" => (Operator::DoesNotExist, false),
        _ => {
            let message = format!("`{word}` is not one of In, NotIn, Exists, DoesNotExist");
            context.error(&item.at("operator"), message);
            return None;
        }
    };
    if needs_values != has_values {
        let message = if needs_values {
            format!("{word} needs at least one value")
        } else {
            format!("{word} takes no values")
        };
        context.error(&item.at("values"), message);
    }
    Some(Requirement { key, operator })
}

fn check_key(context: &mut Context, path: &str, key: &str) {
    if !is_key(key) {
        context.error(path, format!("`{key}` cannot be the key of a label"));
    }
}

fn check_value(context: &mut Context, path: &str, value: &str) {
    if !is_value(value) {
        context.error(path, format!("`{value}` cannot be the value of a label"));
    }
}
