//! A container image made by hand: the workload and, where it is installed, a static busybox.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{guard::run, skip::program, workload};

/// The image's name in every runtime.
pub const NAME: &str = "docker.io/nodeprobe/workload:1";

/// Where the workload is in a container.
pub const WORKLOAD: &str = "/workload";

/// The image as files.
#[derive(Debug)]
pub struct Image {
    folder: TempDir,
}

impl Image {
    /// Makes the image.
    ///
    /// # Errors
    ///
    /// If a file cannot be written or `tar` fails.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("nodeprobe-image")
            .tempdir()
            .context("make a folder")?;
        let image = Self { folder };
        let root = image.root();
        for sub in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
            fs::create_dir_all(root.join(sub)).context("make the root file system")?;
        }
        workload::install(&root.join("workload"))?;
        if let Ok(busybox) = program("busybox", "busybox-static") {
            fs::copy(busybox, root.join("bin/busybox")).context("copy busybox")?;
            std::os::unix::fs::symlink("busybox", root.join("bin/sh")).context("link the shell")?;
        }
        run(Command::new("tar")
            .arg("-C")
            .arg(root)
            .args(["--numeric-owner", "-cf"])
            .arg(image.layer())
            .arg("."))?;
        Ok(image)
    }

    /// The root file system as a folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The root file system as a tar archive, for `docker import`.
    pub fn layer(&self) -> PathBuf {
        self.folder.path().join("layer.tar")
    }

    /// The whole image as a docker archive, for `ctr images import`. By itself it keeps a pod's
    /// sandbox alive.
    ///
    /// # Errors
    ///
    /// If `tar` or `sha256sum` fails.
    pub fn archive(&self) -> Result<PathBuf> {
        let layer = sha256(&self.layer())?;
        let config = serde_json::json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": { "Env": ["PATH=/bin"], "Cmd": [WORKLOAD, "pause"] },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        });
        let draft = self.folder.path().join("config.json");
        fs::write(&draft, config.to_string()).context("write the image's configuration")?;
        let name = format!("{}.json", sha256(&draft)?);
        fs::rename(&draft, self.folder.path().join(&name))
            .context("name the image's configuration")?;
        let manifest =
            serde_json::json!([{ "Config": name, "RepoTags": [NAME], "Layers": ["layer.tar"] }]);
        fs::write(
            self.folder.path().join("manifest.json"),
            manifest.to_string(),
        )
        .context("write the manifest")?;
        let archive = self.folder.path().join("image.tar");
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(self.folder.path())
            .arg("-cf")
            .arg(&archive);
        run(tar.args(["manifest.json", &name, "layer.tar"]))?;
        Ok(archive)
    }
}

fn sha256(file: &Path) -> Result<String> {
    let line = run(Command::new("sha256sum").arg(file))?;
    Ok(line
        .split(' ')
        .next()
        .context("sha256sum printed nothing")?
        .to_owned())
}
