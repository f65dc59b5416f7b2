//! What runs inside: the test program, `nodeprobe`, and the libraries that both ask for.
use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::{
    build, libraries,
    process::{Cmd, find},
};

/// Programs for the guest and the libraries they load.
pub(crate) struct Payload {
    /// Name in the guest's `/t`, and where it is here.
    pub(crate) programs: Vec<(String, PathBuf)>,
    /// At the same path there and here.
    pub(crate) libraries: BTreeSet<PathBuf>,
}

impl Payload {
    /// With these programs of the machine, where they are there: tests say themselves what they lack.
    pub(crate) fn build(wanted: &[String]) -> Result<Self> {
        let build = build::with_tests()?.arg("--message-format=json-render-diagnostics");
        let mut programs = executables(&json_of(build)?);
        for needed in ["integration", "nodeprobe"] {
            ensure!(
                programs.iter().any(|(name, _)| name == needed),
                "cargo built no `{needed}`"
            );
        }
        let found = wanted
            .iter()
            .filter_map(|name| Some((name.clone(), find(name)?)));
        programs.extend(found);
        let mut libraries = BTreeSet::new();
        for (_, path) in &programs {
            libraries.extend(libraries::of(path)?);
        }
        Ok(Self {
            programs,
            libraries,
        })
    }
}

/// What cargo says on its output, while its progress goes where ours goes.
fn json_of(command: Cmd) -> Result<String> {
    let name = command.to_string();
    let output = command
        .into_inner()
        .stderr(std::process::Stdio::inherit())
        .output()?;
    ensure!(
        output.status.success(),
        "`{name}` ended with {}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The programs among cargo's messages.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter_map(|message| Some((message.target.name, message.executable?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"aya"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"integration"},"executable":"/x/integration-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executables(messages),
            [("integration".to_owned(), PathBuf::from("/x/integration-1"))]
        );
    }
}
