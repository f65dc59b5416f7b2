//! The bill of materials of the binary, as CycloneDX 1.6 JSON: the crates that are linked into it,
//! and the Debian packages of the libraries that go with it.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::shipped::{self, LICENCES, SUMMARY, VERSION};

mod crates;
mod packages;

pub(crate) use packages::names as package_names;

/// What CycloneDX calls a component.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Licence>,
    purl: String,
}

#[derive(Debug, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, Serialize)]
struct Licence {
    expression: String,
}

/// What a component is made of, by references.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

impl Hash {
    fn sha256(content: String) -> Self {
        Self {
            alg: "SHA-256",
            content,
        }
    }
}

/// Makes the document for a binary that goes with these libraries.
pub(crate) fn of(binary: &Path, libraries: &[PathBuf], time: u64) -> Result<String> {
    let content = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let crates = crates::linked().context("crates of the binary")?;
    let packages = packages::owners(libraries).context("packages of its libraries")?;
    let mut depends_on = crates.roots;
    depends_on.extend(packages.iter().map(|package| package.reference.clone()));
    let itself = Component {
        kind: "application",
        reference: "nodeprobe".to_owned(),
        name: "nodeprobe".to_owned(),
        version: VERSION.to_owned(),
        description: Some(SUMMARY.to_owned()),
        hashes: vec![Hash::sha256(shipped::sha256(&content))],
        licenses: vec![Licence {
            expression: LICENCES.to_owned(),
        }],
        purl: purl("generic", "nodeprobe", VERSION),
    };
    let mut components = crates.components;
    components.extend(packages);
    let mut dependencies = vec![Dependency {
        reference: itself.reference.clone(),
        depends_on,
    }];
    dependencies.extend(crates.dependencies);
    let document = document(
        &shipped::timestamp(time),
        &itself,
        &components,
        &dependencies,
    );
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn document(
    time: &str,
    itself: &Component,
    components: &[Component],
    dependencies: &[Dependency],
) -> Value {
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "component": itself,
        },
        "components": components,
        "dependencies": dependencies,
    })
}

/// A package URL.
fn purl(kind: &str, name: &str, version: &str) -> String {
    let version: String = version
        .chars()
        .map(|c| match c {
            '+' => "%2B".to_owned(),
            ':' => "%3A".to_owned(),
            other => other.to_string(),
        })
        .collect();
    format!("pkg:{kind}/{name}@{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purl_has_no_bare_plus() {
        assert_eq!(
            purl("deb/debian", "libc6", "1:2.36-9+deb12u1"),
            "pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u1"
        );
    }

    #[test]
    fn names_are_those_of_cyclonedx_and_what_is_empty_is_left_out() {
        let component = Component {
            kind: "library",
            reference: "r".into(),
            name: "n".into(),
            version: "1".into(),
            description: None,
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: "pkg:cargo/n@1".into(),
        };
        let dependency = Dependency {
            reference: "r".into(),
            depends_on: vec!["s".into()],
        };
        let text = document("now", &component, &[], &[dependency]).to_string();
        assert!(text.contains(r#""bom-ref":"r""#), "{text}");
        assert!(text.contains(r#"{"dependsOn":["s"],"ref":"r"}"#), "{text}");
        assert!(!text.contains("licenses"), "{text}");
    }
}
