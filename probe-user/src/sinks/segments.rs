//! A file that is put aside when it is large or old, and opened anew under the same name.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use super::{
    Fsync, Rotation,
    compress::Compressor,
    files,
    medium::{Medium, Opened},
    tally::Tally,
};

/// Who reads: the agent's user and its group. Records say who talks to whom.
const MODE: u32 = 0o640;
/// Wait after a file could not be put aside.
const ROTATE_AGAIN: Duration = Duration::from_secs(60);

/// The files of a log.
pub(super) struct Segments {
    path: PathBuf,
    rotation: Rotation,
    fsync: Fsync,
    compressor: Option<Compressor>,
    tally: Arc<Tally>,
    /// The current file. None after it was put aside and no other could be opened.
    current: Option<Current>,
    /// Stamp of the youngest segment that was removed.
    removed: Option<String>,
    /// The file that was written last, and its length: how to recognise it.
    mark: Option<Mark>,
    /// Since when something waits for the disk.
    dirty: Option<SystemTime>,
    /// When to try again to put the file aside.
    rotate_after: Option<SystemTime>,
}

struct Current {
    file: File,
    /// What is no regular file is never put aside.
    regular: bool,
    began: SystemTime,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    length: u64,
}

impl Segments {
    /// Opens the file. One that was there is gone on with; where it ends in half a line, that is terminated.
    pub(super) fn open(
        path: PathBuf,
        rotation: Rotation,
        fsync: Fsync,
        compressor: Option<Compressor>,
        tally: Arc<Tally>,
    ) -> io::Result<Self> {
        let mut segments = Self {
            path,
            rotation,
            fsync,
            compressor,
            tally,
            current: None,
            removed: None,
            mark: None,
            dirty: None,
            rotate_after: None,
        };
        segments.reopen(SystemTime::now())?;
        Ok(segments)
    }

    fn is_due(&self, current: &Current, line: usize, now: SystemTime) -> bool {
        let length = self.length();
        let large = length.saturating_add(line as u64) > self.rotation.size;
        let old = now
            .duration_since(current.began)
            .is_ok_and(|age| age >= self.rotation.age);
        let waits = self.rotate_after.is_some_and(|after| now < after);
        current.regular && length > 0 && (large || old) && !waits
    }

    fn length(&self) -> u64 {
        self.mark.map_or(0, |mark| mark.length)
    }

    /// Puts the current file aside. Where that is not possible it goes on: a large file is better than none.
    fn rotate(&mut self, now: SystemTime) {
        self.sync();
        match self.put_aside(now) {
            Ok(()) => {
                self.rotate_after = None;
                self.current = None;
                self.mark = None;
                self.tally.rotations.fetch_add(1, Relaxed);
                self.remove_old();
                if let Some(compressor) = &self.compressor {
                    compressor.wake();
                }
            }
            Err(error) => {
                self.rotate_after = now.checked_add(ROTATE_AGAIN);
                self.tally.rotation_failures.fetch_add(1, Relaxed);
                tracing::warn!(path = %self.path.display(), %error, "file cannot be put aside, and grows");
            }
        }
    }

    fn put_aside(&self, now: SystemTime) -> io::Result<()> {
        // Somebody else may have moved it away, and put another in its place.
        let there = fs::metadata(&self.path).ok().map(|it| (it.dev(), it.ino()));
        if there != self.mark.map(|mark| (mark.device, mark.inode)) {
            return Ok(());
        }
        fs::rename(&self.path, files::next(&self.path, now)?)?;
        if self.fsync != Fsync::Never {
            let directory = File::open(files::directory(&self.path));
            self.synced(directory.and_then(|it| it.sync_all()));
        }
        Ok(())
    }

    fn synced(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.tally.sync_failures.fetch_add(1, Relaxed);
            tracing::error!(path = %self.path.display(), %error, "file cannot be brought to the disk");
        }
    }

    fn remove_old(&mut self) {
        let old = match files::aside(&self.path) {
            Ok(old) => old,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "old files cannot be listed");
                return;
            }
        };
        let mut stamps: Vec<&str> = old.iter().map(|segment| segment.stamp.as_str()).collect();
        stamps.dedup();
        let excess = stamps.len().saturating_sub(self.rotation.keep);
        for stamp in &stamps[..excess] {
            for segment in old.iter().filter(|segment| segment.stamp == *stamp) {
                if let Err(error) = fs::remove_file(&segment.path) {
                    tracing::warn!(path = %segment.path.display(), %error, "old file cannot be removed");
                }
            }
            // What was being compressed meanwhile comes back, and is removed again.
            if self.removed.as_deref() < Some(*stamp) {
                self.removed = Some((*stamp).to_owned());
                self.tally.removed.fetch_add(1, Relaxed);
            }
        }
    }
}

impl Medium for Segments {
    fn prepare(&mut self, line: usize, now: SystemTime) -> io::Result<u64> {
        if let Some(current) = &self.current
            && self.is_due(current, line, now)
        {
            self.rotate(now);
        }
        let current = match &self.current {
            Some(current) => current,
            None => {
                self.reopen(now)?;
                self.current.as_ref().ok_or(io::ErrorKind::NotFound)?
            }
        };
        // A file that should have been put aside and could not be has all the room of the disk.
        if !current.regular || self.rotate_after.is_some() {
            return Ok(u64::MAX);
        }
        Ok(self
            .rotation
            .size
            .saturating_sub(self.length())
            .max(line as u64))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let current = self.current.as_mut().ok_or(io::ErrorKind::NotFound)?;
        let written = current.file.write(bytes)?;
        if let Some(mark) = &mut self.mark {
            mark.length += written as u64;
        }
        self.dirty.get_or_insert_with(SystemTime::now);
        Ok(written)
    }

    fn reopen(&mut self, now: SystemTime) -> io::Result<Opened> {
        let (mut file, mark) = open(&self.path)?;
        let opened = if self.mark == Some(mark) {
            Opened::Continued
        } else {
            Opened::Anew
        };
        let metadata = file.metadata()?;
        let regular = metadata.is_file();
        let mut length = mark.length;
        if opened == Opened::Anew && regular && is_torn(&mut file, length)? {
            file.write_all(b"\n")?;
            length += 1;
        }
        let began = if length == 0 {
            now
        } else {
            metadata.created().or(metadata.modified()).unwrap_or(now)
        };
        self.mark = Some(Mark { length, ..mark });
        self.current = Some(Current {
            file,
            regular,
            began,
        });
        Ok(opened)
    }

    fn tick(&mut self, now: SystemTime) {
        if let Some(current) = &self.current
            && self.is_due(current, 0, now)
        {
            self.rotate(now);
        }
        if let (Fsync::Interval(interval), Some(dirty)) = (self.fsync, self.dirty)
            // A clock that was set back makes it due.
            && now.duration_since(dirty).map_or(true, |age| age >= interval)
        {
            self.sync();
        }
    }

    fn sync(&mut self) {
        if self.fsync == Fsync::Never || self.dirty.take().is_none() {
            return;
        }
        if let Some(current) = &self.current
            && current.regular
        {
            self.synced(current.file.sync_data());
        }
    }
}

/// Opens a file for appending and tells how to recognise it.
fn open(path: &Path) -> io::Result<(File, Mark)> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)?;
    let metadata = file.metadata()?;
    let mark = Mark {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
    };
    Ok((file, mark))
}

/// Whether a file ends without a line break.
fn is_torn(file: &mut File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else {
        return Ok(false);
    };
    let mut byte = [0];
    file.seek(SeekFrom::Start(last))?;
    file.read_exact(&mut byte)?;
    Ok(byte != *b"\n")
}
