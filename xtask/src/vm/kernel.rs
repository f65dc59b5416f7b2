//! A stock Debian kernel with its modules, extracted from its packages.
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{catalog::Entry, tools::Tools};
use crate::{archive::Archive, cache::filled};

/// An extracted kernel.
pub(crate) struct Kernel {
    pub(crate) image: PathBuf,
    /// `lib/modules/RELEASE`
    pub(crate) modules: PathBuf,
}

impl Kernel {
    /// Extracts the kernel's packages, unless they were.
    pub(crate) fn ready(entry: &Entry, cache: &Path, tools: &Tools) -> Result<Self> {
        let root = cache.join("kernels").join(&entry.name);
        filled(&root, |dir| {
            extract(entry, cache, dir)?;
            Self::find(dir)?.list_modules(dir, tools)
        })?;
        Self::find(&root)
    }

    fn find(root: &Path) -> Result<Self> {
        let releases = root.join("lib/modules");
        let first = fs::read_dir(&releases)
            .with_context(|| format!("read {}", releases.display()))?
            .next();
        let modules = first
            .with_context(|| format!("{} is empty", releases.display()))??
            .path();
        let release = modules.file_name().unwrap_or_default().to_string_lossy();
        // Since 7.2 the image lies beside the modules.
        let places = [
            root.join("boot").join(format!("vmlinuz-{release}")),
            modules.join("vmlinuz"),
        ];
        let image = places
            .into_iter()
            .find(|path| path.exists())
            .with_context(|| format!("no vmlinuz for {release}"))?;
        Ok(Self { image, modules })
    }

    /// Writes `modules.dep`, which Debian makes when a kernel is installed.
    fn list_modules(&self, root: &Path, tools: &Tools) -> Result<()> {
        let release = self
            .modules
            .file_name()
            .context("the modules have no folder")?;
        tools
            .command("usr/sbin/depmod")?
            .arg("-b")
            .arg(root)
            .arg(release)
            .run()
    }
}

fn extract(entry: &Entry, cache: &Path, to: &Path) -> Result<()> {
    let archive = Archive::open(&cache.join("apt").join(&entry.name), &entry.suites)?;
    let names = kernel_packages(&archive.dependencies(&entry.package)?);
    ensure!(
        !names.is_empty(),
        "`{}` in {} depends on no kernel",
        entry.package,
        entry.suites.join(", ")
    );
    archive.extract(&names, to)?;
    // Some releases put modules into /lib, some into /usr/lib: make both names work.
    if !to.join("lib").exists() {
        symlink("usr/lib", to.join("lib"))?;
    } else if !to.join("usr/lib").exists() {
        symlink("../lib", to.join("usr/lib"))?;
    }
    Ok(())
}

/// Of a metapackage's dependencies, those that hold a kernel. Which they are changed with 7.2.
fn kernel_packages(names: &[String]) -> Vec<String> {
    let holds_a_kernel = |name: &&String| {
        [
            "linux-image-",
            "linux-base-",
            "linux-binary-",
            "linux-modules-",
        ]
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .any(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    names.iter().filter(holds_a_kernel).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_comes_in_one_package_or_in_several() {
        let names = |names: &[&str]| {
            kernel_packages(&names.iter().map(|name| (*name).into()).collect::<Vec<_>>())
        };
        let old = [
            "linux-base",
            "linux-image-6.1.0-56-cloud-amd64",
            "linux-image-cloud-amd64",
            "kmod",
        ];
        assert_eq!(names(&old), ["linux-image-6.1.0-56-cloud-amd64"]);
        let split = [
            "linux-base-7.2.13-amd64",
            "linux-binary-7.2.13-amd64",
            "linux-image-7.2.13-amd64",
            "linux-modules-7.2.13-amd64",
        ];
        assert_eq!(names(&split).len(), 4);
    }
}
