//! podman's storage: names without its service, which most hosts do not run.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use tokio::io::AsyncReadExt;

use super::{error::SourceError, source::Reports};
use crate::{
    identity::{Names, Told},
    model::Runtime,
};

/// Longest list that is read.
const MAX_FILE: u64 = 64 << 20;

/// How often the lists are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where the lists are below a storage directory: one directory for each storage driver, and one
/// list more for containers that are not kept (`--rm`).
const LISTS: [&str; 6] = [
    "overlay-containers/containers.json",
    "overlay-containers/volatile-containers.json",
    "vfs-containers/containers.json",
    "vfs-containers/volatile-containers.json",
    "btrfs-containers/containers.json",
    "zfs-containers/containers.json",
];

/// One storage directory.
#[derive(Debug)]
pub(super) struct Storage {
    lists: Vec<List>,
}

#[derive(Debug)]
struct List {
    path: PathBuf,
    seen: Mutex<Seen>,
}

/// What a list said when it was last read.
#[derive(Debug, Default)]
struct Seen {
    version: Option<Version>,
    names: HashMap<String, String>,
}

/// Tells one content of a file from another: podman replaces the file, so the inode changes too.
type Version = (SystemTime, u64, u64);

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

impl Storage {
    pub(super) fn new(directory: &Path) -> Self {
        let list = |path| List {
            path: directory.join(path),
            seen: Mutex::default(),
        };
        Self {
            lists: LISTS.into_iter().map(list).collect(),
        }
    }

    /// Names of a container; the lists are read again where they changed.
    pub(super) async fn names(&self, id: &str) -> Result<Names, SourceError> {
        let mut found = Err(SourceError::Absent);
        for list in &self.lists {
            match list.name(id).await {
                Ok(name) => return Ok(Names::plain(Runtime::Podman, name)),
                Err(SourceError::Absent) => {}
                Err(error) => found = Err(error),
            }
        }
        found
    }

    /// Looks at the lists every so often and reports the names of those that changed, for ever.
    pub(super) async fn follow(
        &self,
        reports: &Reports,
        responds: impl Fn(),
    ) -> Result<(), SourceError> {
        let mut versions: [Option<Version>; LISTS.len()] = Default::default();
        loop {
            for (list, known) in self.lists.iter().zip(&mut versions) {
                let version = match list.version().await {
                    Ok(version) => version,
                    Err(SourceError::Absent) => continue,
                    Err(error) => return Err(error),
                };
                responds();
                if known.replace(version) != Some(version) {
                    let told = list.read().await?.into_iter().map(|(id, name)| Told {
                        id,
                        names: Names::plain(Runtime::Podman, name),
                        path: None,
                    });
                    reports.send(told.collect()).await.ok();
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How many lists there are, to see whether podman was ever used here.
    pub(super) async fn readable_lists(&self) -> Result<usize, SourceError> {
        let mut readable = 0;
        for list in &self.lists {
            match list.version().await {
                Ok(_) => readable += 1,
                Err(SourceError::Absent) => {}
                Err(error) => return Err(error),
            }
        }
        if readable == 0 {
            Err(SourceError::Absent)
        } else {
            Ok(readable)
        }
    }
}

impl List {
    async fn name(&self, id: &str) -> Result<String, SourceError> {
        let version = self.version().await?;
        if self.with_seen(|seen| seen.version != Some(version)) {
            let names = self.read().await?;
            self.with_seen(|seen| {
                *seen = Seen {
                    version: Some(version),
                    names,
                }
            });
        }
        self.with_seen(|seen| seen.names.get(id).cloned())
            .ok_or(SourceError::NotFound)
    }

    async fn version(&self) -> Result<Version, SourceError> {
        use std::os::unix::fs::MetadataExt;
        let metadata = tokio::fs::metadata(&self.path).await?;
        Ok((metadata.modified()?, metadata.ino(), metadata.len()))
    }

    async fn read(&self) -> Result<HashMap<String, String>, SourceError> {
        let file = tokio::fs::File::open(&self.path).await?;
        let mut text = Vec::new();
        file.take(MAX_FILE).read_to_end(&mut text).await?;
        let list: Vec<Listed> =
            serde_json::from_slice(&text).map_err(|e| SourceError::Protocol(e.to_string()))?;
        Ok(list
            .into_iter()
            .filter_map(|c| Some((c.id, c.names.into_iter().next()?)))
            .collect())
    }

    fn with_seen<T>(&self, use_it: impl FnOnce(&mut Seen) -> T) -> T {
        use_it(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn names_come_from_either_list_and_follow_its_changes() {
        let storage = tempfile::tempdir().unwrap();
        let podman = Storage::new(storage.path());
        assert!(matches!(podman.names("ab").await, Err(SourceError::Absent)));
        let directory = storage.path().join("overlay-containers");
        fs::create_dir(&directory).unwrap();
        let list = directory.join("containers.json");
        fs::write(
            &list,
            r#"[{"id":"ab","names":["web"],"layer":"x"},{"id":"cd"}]"#,
        )
        .unwrap();
        assert_eq!(
            podman.names("ab").await.unwrap(),
            Names::plain(Runtime::Podman, "web")
        );
        assert!(matches!(
            podman.names("cd").await,
            Err(SourceError::NotFound)
        ));
        fs::write(&list, r#"[{"id":"ef","names":["database"]}]"#).unwrap();
        assert_eq!(podman.names("ef").await.unwrap().name, "database");
        let volatile = directory.join("volatile-containers.json");
        fs::write(volatile, r#"[{"id":"01","names":["once"]}]"#).unwrap();
        assert_eq!(podman.names("01").await.unwrap().name, "once");
    }

    #[tokio::test]
    async fn a_broken_list_does_not_hide_the_other() {
        let storage = tempfile::tempdir().unwrap();
        for (directory, text) in [
            ("overlay", "[{"),
            ("vfs", r#"[{"id":"ab","names":["web"]}]"#),
        ] {
            let directory = storage.path().join(format!("{directory}-containers"));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("containers.json"), text).unwrap();
        }
        let podman = Storage::new(storage.path());
        assert_eq!(podman.names("ab").await.unwrap().name, "web");
        assert!(podman.names("cd").await.is_err());
    }
}
