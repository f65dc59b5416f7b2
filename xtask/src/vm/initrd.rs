//! Puts a guest's whole file system together: init, shell, modules, tests.
use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{
    catalog::Catalog, cpio::Cpio, kernel::Kernel, modules::Index, payload::Payload, tools::Tools,
};
use crate::{process::Cmd, workspace};

type Archive = Cpio<BufWriter<File>>;

/// Writes the initial RAM disk for one kernel.
pub(crate) fn write(
    to: &Path,
    kernel: &Kernel,
    tools: &Tools,
    payload: &Payload,
    catalog: &Catalog,
    test: &[String],
) -> Result<()> {
    let mut archive = Cpio::new(BufWriter::new(File::create(to)?));
    copy(
        &mut archive,
        &workspace::root().join("tests/vm-init/init"),
        "init",
    )?;
    copy(&mut archive, &tools.path("usr/bin/busybox"), "bin/busybox")?;
    archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    add_modules(&mut archive, kernel, tools, &catalog.guest.modules)?;
    for (name, program) in &payload.programs {
        copy(&mut archive, program, &format!("t/{name}"))?;
    }
    for library in &payload.libraries {
        copy(&mut archive, library, &library.to_string_lossy())?;
    }
    archive.file("t/args", 0o644, lines(test).as_bytes())?;
    archive.finish()?;
    Ok(())
}

fn add_modules(
    archive: &mut Archive,
    kernel: &Kernel,
    tools: &Tools,
    wanted: &[String],
) -> Result<()> {
    let read = |name| {
        fs::read_to_string(kernel.modules.join(name)).with_context(|| format!("read {name}"))
    };
    let (dependencies, builtin) = (read("modules.dep")?, read("modules.builtin")?);
    let order = Index {
        dependencies: &dependencies,
        builtin: &builtin,
    }
    .order(wanted)?;
    let mut list = Vec::new();
    for file in order {
        let source = kernel.modules.join(file);
        // Not every kernel can unpack a module by itself.
        let inside = format!("/lib/modules/{}", file.trim_end_matches(".xz"));
        let content = if file.ends_with(".xz") {
            unpack(tools, &source)?
        } else {
            fs::read(&source)?
        };
        archive.file(&inside, 0o644, &content)?;
        list.push(inside);
    }
    archive.file("t/modules", 0o644, lines(&list).as_bytes())?;
    Ok(())
}

fn unpack(tools: &Tools, file: &Path) -> Result<Vec<u8>> {
    let command: Cmd = tools.command("usr/bin/xz")?.arg("-dc").arg(file);
    let name = command.to_string();
    let output = command.into_inner().output()?;
    anyhow::ensure!(
        output.status.success(),
        "`{name}` ended with {}",
        output.status
    );
    Ok(output.stdout)
}

fn copy(archive: &mut Archive, from: &Path, to: &str) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    archive
        .file(to, 0o755, &content)
        .with_context(|| format!("add {to} to the guest"))
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}
