//! Images of the tests, made by hand: no registry is asked.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::binaries::Binaries;
use crate::{cache, process::Cmd};

/// The container that holds a pod's namespaces.
pub(super) const PAUSE: &str = "docker.io/local/pause:1";
/// What the workloads of the tests are.
const BUSYBOX: &str = "docker.io/local/busybox:1";

const PAUSE_CODE: &str = "#include <signal.h>
#include <unistd.h>
static void end(int s) { _exit(0); }
int main(void) { signal(SIGTERM, end); signal(SIGINT, end); for (;;) pause(); }
";

/// Archives that containerd imports; made unless they are there.
pub(super) fn ready(binaries: &Binaries) -> Result<Vec<PathBuf>> {
    let folder = binaries.beside("images-1");
    cache::filled(&folder, |to| {
        pause(to)?;
        busybox(to)
    })
    .context("make the images")?;
    Ok(["pause.tar", "busybox.tar"]
        .map(|name| folder.join(name))
        .into())
}

fn pause(to: &Path) -> Result<()> {
    let (root, code) = (to.join("pause"), to.join("pause.c"));
    fs::create_dir_all(&root)?;
    fs::write(&code, PAUSE_CODE)?;
    Cmd::new("gcc")
        .args(["-static", "-Os", "-s", "-o"])
        .args([root.join("pause"), code])
        .read()?;
    pack(&root, PAUSE, &["/pause"], &to.join("pause.tar"))
}

fn busybox(to: &Path) -> Result<()> {
    let root = to.join("busybox");
    for folder in ["bin", "tmp", "etc", "proc", "sys", "dev", "root", "www"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox"))
        .or_else(|_| fs::copy("/bin/busybox", root.join("bin/busybox")))
        .context("copy busybox of Debian's busybox-static")?;
    for applet in Cmd::new("busybox").arg("--list").read()?.lines() {
        if applet != "busybox" {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    pack(
        &root,
        BUSYBOX,
        &["sh", "-c", "sleep 1000000"],
        &to.join("busybox.tar"),
    )
}

/// An archive as `docker save` writes it, of one layer.
fn pack(root: &Path, name: &str, command: &[&str], to: &Path) -> Result<()> {
    let mut layer = tar::Builder::new(Vec::new());
    layer.follow_symlinks(false);
    layer.mode(tar::HeaderMode::Deterministic);
    layer.append_dir_all(".", root)?;
    let layer = layer.into_inner()?;
    let digest = |bytes: &[u8]| -> String {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let architecture = crate::shipped::architecture();
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "nodeprobe's tests"}],
    })
    .to_string();
    let config_name = format!("{}.json", digest(config.as_bytes()));
    let manifest = json!([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let mut archive = tar::Builder::new(fs::File::create(to)?);
    let files = [
        ("manifest.json", manifest.to_string().into_bytes()),
        (config_name.as_str(), config.into_bytes()),
        ("layer.tar", layer),
    ];
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, path, bytes.as_slice())?;
    }
    archive.finish()?;
    fs::remove_dir_all(root)?;
    Ok(())
}
