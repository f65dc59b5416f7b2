//! The thread that compresses files which were put aside, and the only one that waits for it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use flate2::{Compression, write::GzEncoder};

use super::{files, tally::Tally};

/// The niceness of the thread: it has all the time until the next file is put aside.
const NICE: i32 = 10;

/// Wakes the thread. When it is dropped the thread ends after the file at hand.
pub(super) struct Compressor(SyncSender<()>);

impl Compressor {
    /// Starts the thread, which begins with what an earlier run left.
    pub(super) fn start(path: &Path, tally: Arc<Tally>) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let path = path.to_owned();
        thread::Builder::new()
            .name("sink-gzip".into())
            .spawn(move || run(&path, &woken, &tally))?;
        let compressor = Self(wake);
        compressor.wake();
        Ok(compressor)
    }

    /// There is a file to compress.
    pub(super) fn wake(&self) {
        // A full channel wakes as well.
        self.0.try_send(()).ok();
    }
}

fn run(path: &Path, woken: &Receiver<()>, tally: &Tally) {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "files are compressed at the usual priority");
    }
    while woken.recv().is_ok() {
        if let Err(error) = compress_all(path, tally) {
            tracing::warn!(path = %path.display(), %error, "old files cannot be listed");
        }
    }
}

/// Compresses all files that were put aside and are not yet. One that fails is tried again the next time.
fn compress_all(path: &Path, tally: &Tally) -> io::Result<()> {
    for segment in files::aside(path)? {
        if segment.gzip {
            continue;
        }
        match compress(&segment.path) {
            Ok(()) => tally.compressed.fetch_add(1, Relaxed),
            Err(error) => {
                tracing::warn!(path = %segment.path.display(), %error, "file cannot be compressed");
                tally.compression_failures.fetch_add(1, Relaxed)
            }
        };
    }
    Ok(())
}

/// Compresses a file. At any time at least one form of it is complete.
fn compress(path: &Path) -> io::Result<()> {
    let target = files::compressed(path);
    // Then only the removal of the original is missing: the name is given last.
    if !target.exists() {
        let unfinished = files::with_ending(&target, ".tmp");
        if let Err(error) = write(path, &unfinished).and_then(|()| fs::rename(&unfinished, &target))
        {
            // What is left would take room and be of no use. Where it cannot be removed, the next attempt takes the name.
            fs::remove_file(&unfinished).ok();
            return Err(error);
        }
    }
    match fs::remove_file(path) {
        // It was one file too many while it was compressed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_file(&target),
        result => result,
    }
}

fn write(from: &Path, to: &PathBuf) -> io::Result<()> {
    let mut input = BufReader::new(File::open(from)?);
    let output = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(to)?;
    let mut encoder = GzEncoder::new(output, Compression::default());
    io::copy(&mut input, &mut encoder)?;
    // Before the original goes, and seldom enough to be affordable.
    encoder.finish()?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::MultiGzDecoder;

    use super::*;

    fn unpacked(path: &Path) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(File::open(path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn files_put_aside_are_compressed_and_an_interrupted_one_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        fs::write(file("log"), "current\n").unwrap();
        fs::write(file("log.20260102T030405678Z"), "one\n").unwrap();
        fs::write(file("log.20260102T030405678Z.gz.tmp"), "half").unwrap();
        fs::write(file("log.20260102T030405679Z"), "two\n").unwrap();
        compress(&file("log.20260102T030405679Z")).unwrap();
        fs::write(file("log.20260102T030405679Z"), "two\n").unwrap();
        let tally = Tally::default();
        compress_all(&file("log"), &tally).unwrap();
        assert_eq!(
            files::segments(&file("log")).unwrap(),
            [
                "log.20260102T030405678Z.gz",
                "log.20260102T030405679Z.gz",
                "log"
            ]
            .map(file)
        );
        assert_eq!(unpacked(&file("log.20260102T030405678Z.gz")), "one\n");
        assert_eq!(unpacked(&file("log.20260102T030405679Z.gz")), "two\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
        assert_eq!(tally.compressed.load(Relaxed), 2);
    }

    #[test]
    fn a_file_that_cannot_be_compressed_stays_and_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let old = directory.path().join("log.20260102T030405678Z");
        fs::write(&old, "one\n").unwrap();
        fs::create_dir(directory.path().join("log.20260102T030405678Z.gz.tmp")).unwrap();
        let tally = Tally::default();
        compress_all(&directory.path().join("log"), &tally).unwrap();
        assert_eq!(fs::read_to_string(&old).unwrap(), "one\n");
        assert_eq!(tally.compression_failures.load(Relaxed), 1);
    }
}
