//! The chart says the same as the overlay of the same choices.
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Characters of the hash that Kustomize appends to the name of a ConfigMap that it makes.
const HASH: usize = 10;
/// What such a hash is made of: hexadecimal digits, those for vowels and what looks like them replaced.
const DIGITS: &str = "2456789bcdfghkmt";

/// Where two renderings differ, by kind, name and field; labels and annotations aside, for Helm has its own.
pub(super) fn differences(overlay: &str, chart: &str) -> Result<Vec<String>> {
    let (overlay, chart) = (
        fields(overlay).context("read what Kustomize rendered")?,
        fields(chart).context("read what Helm rendered")?,
    );
    let of = |fields: &BTreeMap<String, String>, place: &str| {
        fields
            .get(place)
            .map_or_else(|| "nothing".to_owned(), String::clone)
    };
    let mut places: Vec<_> = overlay.keys().chain(chart.keys()).collect();
    places.sort();
    places.dedup();
    Ok(places
        .into_iter()
        .filter(|place| overlay.get(*place) != chart.get(*place))
        .map(|place| {
            let (overlay, chart) = (of(&overlay, place), of(&chart, place));
            format!("{place}: {overlay} in the overlay, {chart} in the chart")
        })
        .collect())
}

/// All values by their place.
fn fields(text: &str) -> Result<BTreeMap<String, String>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&without_hashes(text))?;
    let mut fields = BTreeMap::new();
    for document in &documents {
        let kind = document["kind"].as_str().unwrap_or_default();
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        flatten(document, format!("{kind} {name} "), &mut fields)?;
    }
    Ok(fields)
}

/// Refuses two values at one place: one of them would be compared with nothing.
fn flatten(value: &Value, place: String, fields: &mut BTreeMap<String, String>) -> Result<()> {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                let is_left_out = place.ends_with("metadata.")
                    && matches!(key.as_str(), "labels" | "annotations");
                if !is_left_out {
                    flatten(member, format!("{place}{key}."), fields)?;
                }
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (index, element) in elements.iter().enumerate() {
                // The order of what has a name says nothing.
                let name = ["mountPath", "name"].map(|key| element[key].as_str());
                let name = name.into_iter().flatten().next();
                let key = name.map_or_else(|| index.to_string(), str::to_owned);
                flatten(element, format!("{place}{key}."), fields)?;
            }
        }
        // What is empty says something as well: `podSelector: {}` is all pods.
        other => {
            let place = place.trim_end_matches('.').to_owned();
            let before = fields.insert(place.clone(), other.to_string());
            ensure!(before.is_none(), "two values at {place}");
        }
    }
    Ok(())
}

/// Names of ConfigMaps without the hash of their content.
fn without_hashes(text: &str) -> String {
    let hashed = text
        .split("\n---\n")
        .filter(|document| document.lines().any(|line| line == "kind: ConfigMap"))
        .filter_map(|document| {
            let name = document
                .lines()
                .find_map(|line| line.strip_prefix("  name: "))?;
            let (stem, hash) = name.rsplit_once('-')?;
            let is_hash = hash.len() == HASH && hash.chars().all(|it| DIGITS.contains(it));
            is_hash.then_some((name, stem))
        });
    hashed.fold(text.to_owned(), |text, (name, stem)| {
        text.replace(name, stem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAY: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  labels: {a: b}
  name: np-kbtht84942
---
kind: DaemonSet
metadata:
  name: np
spec:
  env:
  - {name: A, value: 1}
  - {name: B, value: 2}
  config: np-kbtht84942
";

    #[test]
    fn order_labels_and_hashes_make_no_difference() {
        let chart = "kind: DaemonSet
metadata: {name: np, annotations: {checksum: x}}
spec:
  config: np
  env: [{name: B, value: 2}, {name: A, value: 1}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: np}
";
        assert_eq!(differences(OVERLAY, chart).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_is_as_long_as_a_hash_is_none() {
        let of = |name| format!("kind: ConfigMap\nmetadata:\n  name: {name}\n");
        assert_eq!(without_hashes(&of("np-dashboards")), of("np-dashboards"));
        assert_eq!(without_hashes(&of("np-kbtht84942")), of("np"));
    }

    #[test]
    fn what_is_empty_or_mounted_twice_is_compared_as_well() {
        let of = |rest: &str| format!("kind: DaemonSet\nmetadata: {{name: np}}\nspec: {rest}\n");
        for (overlay, chart, place) in [
            ("{emptyDir: {}, a: 1}", "{a: 1}", "spec.emptyDir"),
            (
                "{m: [{name: h, mountPath: /a, ro: 1}, {name: h, mountPath: /b}]}",
                "{m: [{name: h, mountPath: /a, ro: 2}, {name: h, mountPath: /b}]}",
                "spec.m./a.ro",
            ),
        ] {
            let found = differences(&of(overlay), &of(chart)).unwrap();
            assert!(found.len() == 1 && found[0].contains(place), "{found:?}");
        }
        let twice = of("{env: [{name: A, value: 1}, {name: A, value: 2}]}");
        assert!(differences(&twice, &twice).is_err());
    }

    #[test]
    fn values_and_fields_that_differ_are_named_with_their_place() {
        let chart = OVERLAY
            .replace("value: 1", "value: 3")
            .replace("  config: np-kbtht84942\n", "");
        assert_eq!(
            differences(OVERLAY, &chart).unwrap(),
            [
                "DaemonSet np spec.config: \"np\" in the overlay, nothing in the chart",
                "DaemonSet np spec.env.A.value: 1 in the overlay, 3 in the chart",
            ]
        );
    }
}
