//! Reads folders of manifests.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use probe_policy::load::{Loaded, Loader};

/// Files of more bytes are not manifests that anyone wrote.
const LARGEST: u64 = 256 << 20;
/// Folders within folders.
const DEEPEST: usize = 32;

/// Manifests cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The system refused, or a file is none that can be a manifest.
    #[error("read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There are none.
    #[error("{} has no file that ends in .yaml, .yml or .json", .0.display())]
    Empty(PathBuf),
}

/// What tells a state of the files from another one: each file with its size and the time of its last change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(Vec<(PathBuf, u64, Option<SystemTime>)>);

/// Reads all manifests at a path: a file, or a folder with all that is below it.
///
/// # Errors
///
/// If the path or a file cannot be read, or has no manifests. What is wrong in a manifest is among the findings.
pub fn read(path: &Path, default_namespace: &str) -> Result<Loaded, ManifestError> {
    let mut loader = Loader::new(default_namespace.to_owned());
    for file in files(path)? {
        let text = text(&file).map_err(failed(&file))?;
        loader.add(&file.to_string_lossy(), &text);
    }
    Ok(loader.finish())
}

/// The state of the files at a path, without reading them.
///
/// # Errors
///
/// As [`read`].
pub fn fingerprint(path: &Path) -> Result<Fingerprint, ManifestError> {
    let of = |file: PathBuf| {
        let metadata = fs::metadata(&file).map_err(failed(&file))?;
        Ok((file, metadata.len(), metadata.modified().ok()))
    };
    files(path)?
        .into_iter()
        .map(of)
        .collect::<Result<_, _>>()
        .map(Fingerprint)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ManifestError {
    let path = path.to_owned();
    move |source| ManifestError::Read { path, source }
}

/// In the order of their names: of two objects that are the same the later one wins, which is not to depend on the file system.
fn files(path: &Path) -> Result<Vec<PathBuf>, ManifestError> {
    let mut files = Vec::new();
    collect(path, &mut files, 0).map_err(failed(path))?;
    if files.is_empty() {
        return Err(ManifestError::Empty(path.to_owned()));
    }
    files.sort();
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>, depth: usize) -> io::Result<()> {
    if !path.is_dir() {
        // A file that was named is read whatever its name is.
        let is_manifest = path
            .extension()
            .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known));
        if depth == 0 || is_manifest {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(io::Error::other(
            "folders are nested too deeply; is one a link to itself?",
        ));
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A mounted ConfigMap has each file twice: below `..data` and as a link to it.
        if !entry.file_name().to_string_lossy().starts_with("..") {
            collect(&entry.path(), files, depth + 1)?;
        }
    }
    Ok(())
}

fn text(file: &Path) -> io::Result<String> {
    let size = fs::metadata(file)?.len();
    if size > LARGEST {
        return Err(io::Error::other(format!(
            "{size} bytes are too many for a manifest"
        )));
    }
    String::from_utf8(fs::read(file)?).map_err(|_| io::Error::other("it is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_file_changes_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.yaml");
        assert!(matches!(
            fingerprint(folder.path()),
            Err(ManifestError::Empty(_))
        ));
        fs::write(&file, "kind: Namespace").unwrap();
        let first = fingerprint(folder.path()).unwrap();
        assert_eq!(fingerprint(folder.path()).unwrap(), first);
        fs::write(&file, "kind: Namespaces").unwrap();
        assert_ne!(fingerprint(folder.path()).unwrap(), first);
    }

    #[test]
    fn a_mounted_config_map_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("..2026_11_26");
        fs::create_dir(&data).unwrap();
        let manifest = "{apiVersion: v1, kind: Pod, metadata: {name: a}}";
        fs::write(data.join("pod.yaml"), manifest).unwrap();
        std::os::unix::fs::symlink(&data, folder.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/pod.yaml", folder.path().join("pod.yaml")).unwrap();
        let loaded = read(folder.path(), "default").unwrap();
        assert_eq!((loaded.cluster.pods.len(), loaded.findings.len()), (1, 0));
    }
}
