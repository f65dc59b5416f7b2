//! The programs of Kubernetes, built once from Debian's source and kept.
//!
//! Bookworm has the source of 1.20.2; newer suites have kubectl alone.
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    archive::Archive,
    cache,
    process::{Cmd, find},
    progress::Step,
    shipped, workspace,
};

/// The version that is built.
const VERSION: &str = "1.20.2";
/// Counts the ways of building it.
const REVISION: u32 = 1;
/// What is built.
const BUILT: &[&str] = &[
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
];
/// Where Debian has the Go that this version builds with.
const GO: &str = "/usr/lib/go-1.19/bin";
/// The suite that has the source.
const SUITE: &str = "bookworm";

/// Where the programs are.
#[derive(Clone, Debug)]
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// The ones that were built before, for a cluster that runs.
    pub(super) fn known() -> Result<Self> {
        let folder = folder()?;
        if !folder.exists() {
            bail!(
                "{} is not there; `cargo xtask kube up` builds it",
                folder.display()
            );
        }
        Ok(Self(folder))
    }

    /// One of ours, or one that Debian has.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        let ours = self.0.join(name);
        if ours.exists() {
            ours
        } else {
            find(name).unwrap_or_else(|| name.into())
        }
    }

    /// A folder beside them, for what is made once as well.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.0.with_file_name(name)
    }
}

/// Builds them, unless that was done before.
pub(super) fn ready() -> Result<Binaries> {
    let folder = folder()?;
    cache::filled(&folder, |to| {
        let work = workspace::target().join("kube-build");
        fs::create_dir_all(&work)?;
        let source = source(&work)?;
        build(&work, &source, to)?;
        fs::remove_dir_all(&work).with_context(|| format!("remove {}", work.display()))
    })
    .context("build Kubernetes from Debian's source")?;
    Ok(Binaries(folder))
}

/// The programs outlive a clone: they take ten minutes to build and never change.
fn folder() -> Result<PathBuf> {
    let cache = env::var_os("NODEPROBE_KUBE_CACHE")
        .map(PathBuf::from)
        .or_else(|| env::var_os("XDG_CACHE_HOME").map(|it| Path::new(&it).join("nodeprobe")))
        .or_else(|| env::var_os("HOME").map(|it| Path::new(&it).join(".cache/nodeprobe")))
        .context("neither HOME nor XDG_CACHE_HOME is set; set NODEPROBE_KUBE_CACHE to a folder")?;
    Ok(cache.join(format!("kubernetes-{VERSION}-{REVISION}")))
}

fn source(work: &Path) -> Result<PathBuf> {
    let archive = Archive::with_sources(&work.join("apt"), &[SUITE.to_owned()])?;
    let folder = archive.source("kubernetes", work)?;
    // The one in the source corrupts memory with Go 1.18 or later.
    let newer = work.join("reflect2");
    archive.extract(&["golang-github-modern-go-reflect2-dev".to_owned()], &newer)?;
    let from = newer.join("usr/share/gocode/src/github.com/modern-go/reflect2");
    replace_code(&from, &folder.join("vendor/github.com/modern-go/reflect2"))?;
    Ok(folder)
}

/// Has the code of one folder in place of that of another.
fn replace_code(from: &Path, to: &Path) -> Result<()> {
    let code = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_code = |path: &PathBuf| {
            path.extension()
                .is_some_and(|end| end == "go" || end == "s")
        };
        Ok(paths.filter(is_code).collect())
    };
    for file in code(to)? {
        fs::remove_file(file)?;
    }
    for file in code(from)? {
        let name = file.file_name().context("a file has a name")?;
        fs::copy(&file, to.join(name))?;
    }
    Ok(())
}

fn build(work: &Path, source: &Path, to: &Path) -> Result<()> {
    // Without a repository the version has to be told.
    let version = work.join("version.env");
    let text = format!(
        "KUBE_GIT_COMMIT='debian'\nKUBE_GIT_TREE_STATE='archive'\nKUBE_GIT_VERSION='v{VERSION}'\nKUBE_GIT_MAJOR='1'\nKUBE_GIT_MINOR='20'\n"
    );
    fs::write(&version, text)?;
    let path = env::var("PATH").unwrap_or_default();
    let make = |what: &str, arguments: &[&str]| -> Result<()> {
        let step = Step::start(format!("build {what}"));
        Cmd::new(arguments[0])
            .args(&arguments[1..])
            .dir(source)
            .env("PATH", format!("{GO}:{path}"))
            .env("GOPROXY", "off")
            .env("GOFLAGS", "")
            .env("GOSUMDB", "off")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", work.join("go-cache"))
            .env("HOME", work)
            .env("KUBE_GIT_VERSION_FILE", &version)
            .under(&step)?;
        step.done();
        Ok(())
    };
    make(
        "the generated files of Kubernetes",
        &["make", "generated_files"],
    )?;
    for name in BUILT {
        make(name, &["hack/make-rules/build.sh", &format!("cmd/{name}")])?;
        let built = source
            .join("_output/local/bin/linux")
            .join(shipped::architecture())
            .join(name);
        fs::copy(&built, to.join(name)).with_context(|| format!("copy {}", built.display()))?;
    }
    Ok(())
}
