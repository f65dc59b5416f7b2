//! Checkers that are not part of Rust, installed on first use.
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    debian,
    process::{Cmd, find},
    progress::Step,
    workspace,
};

const TYPOS: &str = "1.52.0";
const DENY: &str = "0.20.2";

/// The spelling checker. PyPI has it ready-made; building it takes minutes.
pub(super) fn typos() -> Result<Cmd> {
    if let Some(program) = find("typos") {
        return Ok(Cmd::new(program).dir(workspace::root()));
    }
    let venv = workspace::target().join("tools/typos");
    let program = venv.join("bin/typos");
    if !program.exists() {
        if !Cmd::new("python3")
            .args(["-c", "import venv, ensurepip"])
            .succeeds()
        {
            debian::install(&["python3-venv"]).context("`cargo install typos-cli` does as well")?;
        }
        let step = Step::start(format!("install typos {TYPOS}"));
        Cmd::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv)
            .under(&step)?;
        Cmd::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--only-binary", ":all:"])
            .arg(format!("typos=={TYPOS}"))
            .under(&step)
            .context("`cargo install typos-cli` does as well")?;
        step.done();
    }
    Ok(Cmd::new(program).dir(workspace::root()))
}

/// Licences, sources and banned crates. Advisories need a database from the network, so they are no
/// part of it.
pub(super) fn deny() -> Result<Cmd> {
    Ok(Cmd::new(cargo_deny()?)
        .args([
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ])
        .dir(workspace::root()))
}

fn cargo_deny() -> Result<PathBuf> {
    if let Some(program) = find("cargo-deny") {
        return Ok(program);
    }
    let step = Step::start(format!(
        "cargo install cargo-deny {DENY} (a few minutes, once)"
    ));
    // Unoptimised: it compiles in a third of the time and has little to do.
    workspace::cargo("install")
        .args(["cargo-deny", "--version", DENY, "--locked", "--debug"])
        .under(&step)?;
    step.done();
    find("cargo-deny").context("cargo-deny was installed to a folder that is not in PATH")
}
