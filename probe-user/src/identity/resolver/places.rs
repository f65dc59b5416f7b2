//! The places where runtimes are looked for.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::select::Pattern;

/// Follows `*` in the components of paths, and leaves out paths that name the same place: `/var/run` is a link to `/run` nearly
/// everywhere.
pub(super) fn distinct(paths: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let mut seen = HashSet::new();
    paths
        .iter()
        .flat_map(|path| expand(path))
        .filter(move |path| {
            let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
            let place = directory
                .zip(path.file_name())
                .map(|(directory, name)| directory.join(name));
            seen.insert(place.unwrap_or_else(|| path.clone()))
        })
}

/// The places that a path with `*` stands for and that are there; a path without is itself.
fn expand(path: &Path) -> Vec<PathBuf> {
    /// Sockets of so many users are followed.
    const MAX: usize = 64;
    if !path.as_os_str().as_encoded_bytes().contains(&b'*') {
        return vec![path.to_owned()];
    }
    let mut found = vec![PathBuf::from("/")];
    for component in path.components().skip(1) {
        let name = component.as_os_str();
        let text = name.to_str().filter(|text| text.contains('*'));
        found = match text.map(Pattern::new) {
            Some(pattern) => found
                .iter()
                .flat_map(|directory| matching(directory, &pattern))
                .take(MAX)
                .collect(),
            None => found.iter().map(|directory| directory.join(name)).collect(),
        };
    }
    found.retain(|path| path.symlink_metadata().is_ok());
    found
}

fn matching(directory: &Path, pattern: &Pattern) -> Vec<PathBuf> {
    let entries = directory.read_dir().into_iter().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| pattern.matches_text(name))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_the_directories_of_users_that_have_a_socket() {
        let root = tempfile::tempdir().unwrap();
        for (user, file) in [
            ("1000", "docker.sock"),
            ("1001", "docker.sock"),
            ("1002", "bus"),
        ] {
            std::fs::create_dir(root.path().join(user)).unwrap();
            std::fs::write(root.path().join(user).join(file), "").unwrap();
        }
        let pattern = root.path().join("*/docker.sock");
        let found: Vec<PathBuf> = distinct(&[pattern, root.path().join("absent")]).collect();
        let expected = ["1000/docker.sock", "1001/docker.sock", "absent"];
        assert_eq!(found, expected.map(|path| root.path().join(path)));
    }
}
