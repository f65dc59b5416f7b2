//! A tree of files that is packed: into an archive or into a folder.
//!
//! The same content gives the same bytes: names are sorted, everything belongs to root, and every
//! file has one time.
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Folders and files by their paths, which are relative to the root.
#[derive(Debug, Default)]
pub(crate) struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Debug)]
enum Entry {
    Folder { mode: u32 },
    File { mode: u32, content: Vec<u8> },
    Link { target: PathBuf },
}

impl Tree {
    /// Adds a folder, and those above it.
    pub(crate) fn folder(&mut self, path: impl AsRef<Path>, mode: u32) {
        let path = relative(path.as_ref());
        self.above(&path);
        self.0.insert(path, Entry::Folder { mode });
    }

    /// Adds a file, and the folders above it.
    pub(crate) fn file(&mut self, path: impl AsRef<Path>, mode: u32, content: impl Into<Vec<u8>>) {
        let path = relative(path.as_ref());
        self.above(&path);
        let content = content.into();
        self.0.insert(path, Entry::File { mode, content });
    }

    /// Adds a symbolic link, and the folders above it.
    pub(crate) fn link(&mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) {
        let path = relative(path.as_ref());
        self.above(&path);
        let target = target.into();
        self.0.insert(path, Entry::Link { target });
    }

    /// Adds a file of this machine. A link is followed.
    pub(crate) fn copy(&mut self, from: &Path, to: impl AsRef<Path>, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
        self.file(to, mode, content);
        Ok(())
    }

    /// Writes a tar archive.
    pub(crate) fn archive<W: Write>(&self, to: W, time: u64) -> Result<W> {
        let mut archive = tar::Builder::new(to);
        for (path, entry) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(time);
            header.set_uid(0);
            header.set_gid(0);
            let (kind, mode, content): (_, _, &[u8]) = match entry {
                Entry::Folder { mode } => (tar::EntryType::Directory, *mode, &[]),
                Entry::File { mode, content } => (tar::EntryType::Regular, *mode, content),
                Entry::Link { .. } => (tar::EntryType::Symlink, 0o777, &[]),
            };
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(content.len().try_into()?);
            match entry {
                Entry::Link { target } => archive.append_link(&mut header, path, target),
                _ => archive.append_data(&mut header, path, content),
            }
            .with_context(|| format!("pack {}", path.display()))?;
        }
        Ok(archive.into_inner()?)
    }

    /// Paths of the files, in order.
    pub(crate) fn paths(&self) -> Vec<&Path> {
        self.0
            .iter()
            .filter(|(_, entry)| matches!(entry, Entry::File { .. }))
            .map(|(path, _)| path.as_path())
            .collect()
    }

    /// Bytes of all files.
    pub(crate) fn size(&self) -> usize {
        self.0
            .values()
            .map(|entry| match entry {
                Entry::File { content, .. } => content.len(),
                Entry::Folder { .. } | Entry::Link { .. } => 0,
            })
            .sum()
    }

    /// Writes the files below an existing folder.
    pub(crate) fn unpack(&self, below: &Path) -> Result<()> {
        for (path, entry) in &self.0 {
            let to = below.join(path);
            let set = |mode| fs::set_permissions(&to, fs::Permissions::from_mode(mode));
            match entry {
                Entry::Folder { mode } => fs::create_dir_all(&to).and_then(|()| set(*mode)),
                Entry::File { mode, content } => fs::write(&to, content).and_then(|()| set(*mode)),
                Entry::Link { target } => symlink(target, &to),
            }
            .with_context(|| format!("write {}", to.display()))?;
        }
        Ok(())
    }

    fn above(&mut self, path: &Path) {
        for folder in path.ancestors().skip(1) {
            if !folder.as_os_str().is_empty() {
                self.0
                    .entry(folder.to_owned())
                    .or_insert(Entry::Folder { mode: 0o755 });
            }
        }
    }
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.file("/usr/bin/x", 0o755, "program");
        tree.folder("tmp", 0o1777);
        tree.file("a", 0o644, "");
        tree.link("usr/bin/y", "x");
        tree
    }

    #[test]
    fn folders_come_before_their_files_and_all_have_one_time_and_owner() {
        let bytes = tree().archive(Vec::new(), 7).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (7, 0));
            names.push(entry.path().unwrap().display().to_string());
        }
        assert_eq!(
            names,
            ["a", "tmp", "usr", "usr/bin", "usr/bin/x", "usr/bin/y"]
        );
    }

    #[test]
    fn links_are_links() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = tree().archive(Vec::new(), 0).unwrap();
        tar::Archive::new(bytes.as_slice())
            .unpack(folder.path().join("archive"))
            .unwrap();
        tree().unpack(folder.path()).unwrap();
        for root in [folder.path(), &folder.path().join("archive")] {
            assert_eq!(
                fs::read_link(root.join("usr/bin/y")).unwrap(),
                Path::new("x")
            );
            assert_eq!(fs::read(root.join("usr/bin/y")).unwrap(), b"program");
        }
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let [one, two] = [(); 2].map(|()| tree().archive(Vec::new(), 0).unwrap());
        assert_eq!(one, two);
    }
}
