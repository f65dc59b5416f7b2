//! `cargo xtask manifests`: renders the overlays of `deploy/kubernetes` and the chart, and checks what came out
//! by the schemas of Kubernetes where a checker is installed.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    process::{Cmd, find},
    progress::{Step, note},
    workspace,
};

mod alike;
mod chart;

const VALIDATE: &str = "kubernetes-validate";
const LINT: &str = "yamllint";

/// What an overlay must not have, by its name: it would be a privilege that nobody asked for.
const NEVER: &[(&str, &[&str])] = &[
    (
        "least-privilege",
        &[
            "kind: ClusterRole",
            "automountServiceAccountToken: true",
            "SYS_ADMIN",
            "privileged: true",
        ],
    ),
    (
        "names",
        &[
            "nodeprobe-peers",
            "nodeprobe-policies",
            "nodeprobe-events",
            "SYS_ADMIN",
        ],
    ),
    (
        "policy-audit",
        &["nodeprobe-events", "SYS_ADMIN", "privileged: true"],
    ),
];

pub(crate) fn run() -> Result<()> {
    let deploy = workspace::root().join("deploy");
    let folder = workspace::target().join("manifests");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let step = Step::start("render the overlays");
    let mut rendered = Vec::new();
    for overlay in overlays(&deploy.join("kubernetes/overlays"))? {
        let name = overlay.file_name().context("an overlay without a name")?;
        let to = folder.join(name).with_extension("yaml");
        let text = renderer()?.arg(&overlay).read()?;
        let name = name.to_string_lossy();
        if let Some(privilege) = unasked(&name, &text) {
            bail!("overlay {name} has {privilege:?}, which is not to be in it");
        }
        fs::write(&to, text + "\n").with_context(|| format!("write {}", to.display()))?;
        rendered.push(to);
    }
    step.done_as(&format!(
        "{} overlays are in {}",
        rendered.len(),
        folder.display()
    ));
    lint(&deploy)?;
    rendered.extend(chart::render(&deploy, &folder)?);
    validate(&rendered, &folder)
}

/// What is in a rendered overlay and must not be.
fn unasked(name: &str, text: &str) -> Option<&'static str> {
    NEVER
        .iter()
        .filter(|(overlay, _)| *overlay == name)
        .flat_map(|(_, never)| never.iter().copied())
        .find(|privilege| text.contains(privilege))
}

/// `kubectl` or `kustomize`, up to the folder that it renders.
fn renderer() -> Result<Cmd> {
    if let Some(kubectl) = find("kubectl") {
        return Ok(Cmd::new(kubectl).arg("kustomize"));
    }
    let kustomize = find("kustomize").context(
        "neither kubectl nor kustomize is installed; https://kubectl.docs.kubernetes.io/installation says how",
    )?;
    Ok(Cmd::new(kustomize).arg("build"))
}

/// The folders with a `kustomization.yaml`, in order.
fn overlays(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut overlays = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("kustomization.yaml").is_file() {
            overlays.push(path);
        }
    }
    overlays.sort();
    Ok(overlays)
}

fn lint(deploy: &Path) -> Result<()> {
    let Some(program) = find(LINT) else {
        skipped(LINT, "`pip install yamllint` does that");
        return Ok(());
    };
    let step = Step::start(LINT);
    Cmd::new(program)
        .args(["--strict", "--config-file", ".yamllint.yaml", "."])
        .dir(deploy)
        .under(&step)?;
    step.done();
    Ok(())
}

/// Checks all files, so that one run shows everything.
fn validate(files: &[PathBuf], folder: &Path) -> Result<()> {
    let Some(program) = find(VALIDATE) else {
        skipped(VALIDATE, "`pip install kubernetes-validate` does that");
        return Ok(());
    };
    let step = Step::start(VALIDATE);
    let mut faults = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let known = folder.join("known.yaml.tmp");
        fs::write(&known, without_custom(&text))?;
        let outcome = Cmd::new(&program)
            .args(["--strict", "--quiet"])
            .arg(&known)
            .under(&step);
        fs::remove_file(&known)?;
        if let Err(error) = outcome {
            faults.push(format!("{}: {error:#}", file.display()));
        }
    }
    if !faults.is_empty() {
        bail!("manifests are not valid:\n{}", faults.join("\n"));
    }
    step.done();
    Ok(())
}

/// The documents of kinds that Kubernetes itself has: of others the checker has no schema.
fn without_custom(text: &str) -> String {
    let known: Vec<_> = text
        .split("\n---\n")
        .filter(|document| {
            !document
                .lines()
                .any(|line| line.starts_with("apiVersion: monitoring.coreos.com/"))
        })
        .collect();
    known.join("\n---\n")
}

fn skipped(program: &str, remedy: &str) {
    note(format!(
        "not checked by {program}, which is not installed; {remedy}"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_kinds_are_left_out_of_what_is_checked() {
        let text = "apiVersion: v1\nkind: Service\n---\napiVersion: \
                    monitoring.coreos.com/v1\nkind: PodMonitor\n---\napiVersion: v1\nkind: Node\n";
        assert_eq!(
            without_custom(text),
            "apiVersion: v1\nkind: Service\n---\napiVersion: v1\nkind: Node\n"
        );
    }

    #[test]
    fn a_privilege_that_nobody_asked_for_is_found() {
        let text = "securityContext:\n  privileged: true\n";
        assert_eq!(unasked("least-privilege", text), Some("privileged: true"));
        assert_eq!(unasked("privileged", text), None);
    }

    #[test]
    fn every_overlay_of_the_repository_is_found() {
        let folder = workspace::root().join("deploy/kubernetes/overlays");
        let overlays = overlays(&folder).unwrap();
        assert!(
            overlays
                .iter()
                .any(|path| path.ends_with("least-privilege"))
        );
    }
}
