//! Where records go: lines to standard output or to rotating files, written by a thread of their own.
//!
//! Owns the queue in front, the files and the trouble with them. Knows nothing of what a line says. Handing over a line
//! never waits: what finds no room is refused, and who hands over learns so. A disk that is full, a directory that may not be
//! written and a reader that stalls make lines wait; nothing is given up but what the queue cannot hold.

mod batch;
mod compress;
mod files;
mod medium;
mod queue;
mod segments;
mod stream;
mod tally;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use self::{
    compress::Compressor, medium::Medium, queue::Queue, stream::Stream, tally::Tally,
    writer::Writer,
};
pub use self::{files::segments, queue::Refused};
use crate::limits;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, with its older segments beside it. What is no regular file is written as a stream.
    File(PathBuf),
}

impl Target {
    /// The target by the name that an operator gives: `-` is standard output.
    pub fn named(name: &Path) -> Self {
        if name == Path::new("-") {
            Self::Stdout
        } else {
            Self::File(name.into())
        }
    }
}

/// When a file is put aside, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Largest file in bytes. A single line that is larger gets a file of its own.
    pub size: u64,
    /// Greatest age of a file's first line.
    pub age: Duration,
    /// How many files that were put aside are kept.
    pub keep: usize,
    /// Whether these are compressed with gzip.
    pub compress: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self {
            size: limits::SEGMENT_SIZE,
            age: limits::SEGMENT_AGE,
            keep: limits::SEGMENTS as usize,
            compress: true,
        }
    }
}

/// When the kernel is told to bring a file to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fsync {
    /// Never: the kernel decides.
    Never,
    /// When a file is put aside, and at a flush.
    #[default]
    OnRotation,
    /// Also this long after a line was written.
    Interval(Duration),
}

/// How a sink works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What messages call it, such as `flow log`.
    pub name: &'static str,
    /// Where lines go.
    pub target: Target,
    /// When files are put aside.
    pub rotation: Rotation,
    /// When files are brought to the disk.
    pub fsync: Fsync,
    /// Lines that may wait.
    pub lines: usize,
    /// Bytes that may wait.
    pub bytes: usize,
}

impl Settings {
    /// The usual settings for a target.
    pub fn new(name: &'static str, target: Target) -> Self {
        Self {
            name,
            target,
            rotation: Rotation::default(),
            fsync: Fsync::default(),
            lines: limits::SINK_LINES,
            bytes: limits::SINK_BYTES,
        }
    }
}

/// What a sink has done since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that were taken on.
    pub accepted: u64,
    /// Lines that found no room.
    pub refused: u64,
    /// Lines that were written.
    pub written: u64,
    /// Bytes of these, line breaks included.
    pub written_bytes: u64,
    /// Lines that were given up because the sink ended.
    pub abandoned: u64,
    /// Lines that wait.
    pub waiting: u64,
    /// Bytes of these.
    pub waiting_bytes: u64,
    /// Attempts to write that failed.
    pub failures: u64,
    /// Why nothing is written at the moment.
    pub fault: Option<String>,
    /// Files that were put aside.
    pub rotations: u64,
    /// Attempts at that which failed.
    pub rotation_failures: u64,
    /// Files that were removed because there were too many.
    pub removed: u64,
    /// Files that were compressed.
    pub compressed: u64,
    /// Attempts at that which failed.
    pub compression_failures: u64,
    /// Times that the kernel could not bring a file to the disk.
    pub sync_failures: u64,
}

/// What a flush could not do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{lines} lines were not written in time")]
pub struct Unwritten {
    /// Lines that still wait; 0 where all are written and not yet on the disk.
    pub lines: u64,
}

/// A place for lines. Dropping it lets the thread try once more to write what waits, and waits for nothing.
#[derive(Debug)]
pub struct Sink {
    queue: Arc<Queue>,
    tally: Arc<Tally>,
}

impl Sink {
    /// Opens the target and starts the thread, which has the privileges of the calling one: an agent lets go of its own
    /// before. Files are put aside and opened anew with what is left, so the directory must belong to the agent's user.
    ///
    /// # Errors
    ///
    /// The target cannot be opened or a thread not be started. Trouble at a later time is no error but counted and logged.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let tally = Arc::new(Tally::default());
        match &settings.target {
            Target::Stdout => Self::run(Stream::stdout()?, &settings, tally),
            Target::File(path) => {
                let path = files::resolved(path);
                let compressor = if settings.rotation.compress {
                    Some(Compressor::start(&path, Arc::clone(&tally))?)
                } else {
                    None
                };
                let files = segments::Segments::open(
                    path,
                    settings.rotation,
                    settings.fsync,
                    compressor,
                    Arc::clone(&tally),
                )?;
                Self::run(files, &settings, tally)
            }
        }
    }

    fn run(medium: impl Medium, settings: &Settings, tally: Arc<Tally>) -> io::Result<Self> {
        let queue = Arc::new(Queue::new(settings.name, settings.lines, settings.bytes));
        let writer = Writer::new(medium, Arc::clone(&queue));
        thread::Builder::new()
            .name("sink".into())
            .spawn(move || writer.run())?;
        Ok(Self { queue, tally })
    }

    /// Hands over a line with its line break at the end. Never waits.
    ///
    /// # Errors
    ///
    /// There is no room. The line is gone, and counted.
    pub fn push(&self, line: Vec<u8>) -> Result<(), Refused> {
        self.queue.push(line)
    }

    /// Has the target opened again, for who has moved the file away.
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// Waits until all that was handed over is written and, unless that is never wanted, on the disk.
    ///
    /// # Errors
    ///
    /// Not within the time. What waits goes on waiting.
    pub fn flush(&self, timeout: Duration) -> Result<(), Unwritten> {
        self.queue.flush(timeout)
    }

    /// What has been done.
    pub fn counts(&self) -> Counts {
        Counts {
            rotations: self.tally.rotations.load(Relaxed),
            rotation_failures: self.tally.rotation_failures.load(Relaxed),
            removed: self.tally.removed.load(Relaxed),
            compressed: self.tally.compressed.load(Relaxed),
            compression_failures: self.tally.compression_failures.load(Relaxed),
            sync_failures: self.tally.sync_failures.load(Relaxed),
            ..self.queue.counts()
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.queue.close();
    }
}
