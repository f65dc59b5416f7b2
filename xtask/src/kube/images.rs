//! Images of the tests, made by hand: no registry is asked.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::binaries::Binaries;
use crate::{
    cache,
    process::{Cmd, find},
    shipped,
    tree::Tree,
};

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
    let folder = binaries.beside("images-2");
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
    let (program, code) = (to.join("pause"), to.join("pause.c"));
    fs::write(&code, PAUSE_CODE)?;
    Cmd::new("gcc")
        .args(["-static", "-Os", "-s", "-o"])
        .args([&program, &code])
        .read()?;
    let mut root = Tree::default();
    root.copy(&program, "pause", 0o755)?;
    fs::remove_file(&program)?;
    pack(&root, PAUSE, &["/pause"], &to.join("pause.tar"))
}

fn busybox(to: &Path) -> Result<()> {
    let mut root = Tree::default();
    for folder in ["bin", "tmp", "etc", "proc", "sys", "dev", "root", "www"] {
        root.folder(folder, 0o755);
    }
    let program = find("busybox").context("no busybox; install Debian's busybox-static")?;
    root.copy(&program, "bin/busybox", 0o755)?;
    for applet in Cmd::new(&program).arg("--list").read()?.lines() {
        if applet != "busybox" {
            root.link(Path::new("bin").join(applet), "busybox");
        }
    }
    root.file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n");
    root.file("etc/group", 0o644, "root:x:0:\n");
    let command = ["sh", "-c", "sleep 1000000"];
    pack(&root, BUSYBOX, &command, &to.join("busybox.tar"))
}

/// An archive as `docker save` writes it, of one layer.
fn pack(root: &Tree, name: &str, command: &[&str], to: &Path) -> Result<()> {
    let layer = root.archive(Vec::new(), 0)?;
    let created = shipped::timestamp(0);
    let config = json!({
        "architecture": shipped::architecture(),
        "os": "linux",
        "created": created,
        "config": {"Env": ["PATH=/bin"], "Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", shipped::sha256(&layer))]},
        "history": [{"created": created, "created_by": "nodeprobe's tests"}],
    })
    .to_string();
    let config_name = format!("{}.json", shipped::sha256(config.as_bytes()));
    let manifest = json!([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]);
    let mut archive = Tree::default();
    archive.file("manifest.json", 0o644, manifest.to_string());
    archive.file(config_name, 0o644, config);
    archive.file("layer.tar", 0o644, layer);
    let file = fs::File::create(to).with_context(|| format!("write {}", to.display()))?;
    archive.archive(file, 0)?;
    Ok(())
}
