use std::{
    fs,
    io::ErrorKind,
    sync::{Mutex, mpsc},
    time::{Instant, SystemTime},
};

use super::{medium::Opened, *};

/// Long enough for anything to happen, and never waited for in full.
const DEADLINE: Duration = Duration::from_secs(30);

/// A medium that a test can break.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    written: Vec<u8>,
    /// Bytes that still fit; no limit without.
    room: Option<usize>,
    /// Half a line is lost when it is opened again.
    forgets: bool,
    reopened: usize,
    synced: usize,
}

impl Fake {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn text(&self) -> String {
        self.with(|state| String::from_utf8(state.written.clone()).unwrap())
    }
}

impl Medium for Fake {
    fn prepare(&mut self, _: usize, _: SystemTime) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|state| {
            let length = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
            if length == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            state.room = state.room.map(|room| room - length);
            state.written.extend_from_slice(&bytes[..length]);
            Ok(length)
        })
    }

    fn reopen(&mut self, _: SystemTime) -> io::Result<Opened> {
        self.with(|state| {
            state.reopened += 1;
            if state.forgets {
                state.written.push(b'\n');
                return Ok(Opened::Anew);
            }
            Ok(Opened::Continued)
        })
    }

    fn tick(&mut self, _: SystemTime) {}

    fn sync(&mut self) {
        self.with(|state| state.synced += 1);
    }
}

fn sink(fake: &Fake, lines: usize) -> Sink {
    let settings = Settings {
        lines,
        ..Settings::new("test", Target::Stdout)
    };
    Sink::run(fake.clone(), &settings, Arc::default()).unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn lines_come_in_order_and_a_flush_brings_them_to_the_disk() {
    let fake = Fake::default();
    let sink = sink(&fake, 1000);
    let lines: Vec<String> = (0..1000).map(|n| format!("{n}\n")).collect();
    for line in &lines {
        sink.push(line.clone().into_bytes()).unwrap();
    }
    sink.flush(DEADLINE).unwrap();
    assert_eq!(fake.text(), lines.concat());
    assert!(fake.with(|state| state.synced) > 0);
    let counts = sink.counts();
    assert_eq!((counts.written, counts.waiting), (1000, 0));
    assert_eq!(counts.written_bytes, lines.concat().len() as u64);
}

#[test]
fn a_full_disk_makes_lines_wait_and_then_loses_the_latest() {
    let fake = Fake::default();
    fake.with(|state| state.room = Some(6));
    let sink = sink(&fake, 3);
    sink.push(b"one\n".to_vec()).unwrap();
    sink.push(b"two\n".to_vec()).unwrap();
    until("a failure", || sink.counts().fault.is_some());
    while sink.push(b"more\n".to_vec()).is_ok() {}
    let counts = sink.counts();
    assert_eq!((counts.written, counts.waiting, counts.refused), (1, 3, 1));
    assert!(sink.flush(Duration::from_millis(1)).is_err());
    fake.with(|state| state.room = None);
    sink.flush(DEADLINE).unwrap();
    assert_eq!(fake.text(), "one\ntwo\nmore\nmore\n");
    let counts = sink.counts();
    assert_eq!((counts.written, counts.fault.as_deref()), (4, None));
    assert!(counts.failures > 0 && fake.with(|state| state.reopened) > 0);
}

#[test]
fn half_a_line_is_written_again_where_its_beginning_is_lost() {
    let fake = Fake::default();
    fake.with(|state| (state.room, state.forgets) = (Some(6), true));
    let sink = sink(&fake, 10);
    sink.push(b"one\n".to_vec()).unwrap();
    sink.push(b"two\n".to_vec()).unwrap();
    until("a failure", || sink.counts().failures > 0);
    fake.with(|state| state.room = None);
    sink.flush(DEADLINE).unwrap();
    let text = fake.text();
    assert!(
        text.starts_with("one\ntw\n") && text.ends_with("\ntwo\n"),
        "{text}"
    );
}

#[test]
fn what_a_broken_sink_cannot_write_at_its_end_is_given_up() {
    let fake = Fake::default();
    fake.with(|state| state.room = Some(0));
    let sink = sink(&fake, 10);
    sink.push(b"one\n".to_vec()).unwrap();
    let queue = Arc::clone(&sink.queue);
    drop(sink);
    until("the end", || queue.counts().abandoned == 1);
}

#[test]
fn a_reader_that_stalls_holds_nobody_up() {
    let fake = Fake::default();
    let sink = sink(&fake, 10);
    // The writer cannot get at the medium while a test has it.
    let (hold, held) = mpsc::sync_channel::<()>(0);
    let stalled = fake.clone();
    let reader = std::thread::spawn(move || stalled.with(|_| held.recv().ok()));
    until("the stall", || fake.0.try_lock().is_err());
    let accepted = (0..100)
        .filter(|_| sink.push(b"line\n".to_vec()).is_ok())
        .count();
    assert_eq!(accepted, 10);
    assert!(sink.flush(Duration::from_millis(1)).is_err());
    assert_eq!(sink.counts().refused, 90);
    drop(hold);
    reader.join().unwrap();
    sink.flush(DEADLINE).unwrap();
    assert_eq!(sink.counts().written, 10);
}

#[test]
fn files_are_opened_rotated_compressed_and_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut settings = Settings::new("test", Target::named(&path));
    settings.rotation.size = 1000;
    settings.rotation.keep = 3;
    settings.fsync = Fsync::Interval(Duration::ZERO);
    let sink = Sink::start(settings).unwrap();
    for n in 0..100 {
        sink.push(format!("{n:099}\n").into_bytes()).unwrap();
    }
    sink.flush(DEADLINE).unwrap();
    until("compression", || {
        let files = segments(&path).unwrap();
        let ends = |file: &&PathBuf| file.extension().is_some_and(|end| end == "gz");
        files.iter().filter(ends).count() == 3
    });
    let counts = sink.counts();
    assert_eq!(
        (counts.written, counts.rotations, counts.removed),
        (100, 9, 6)
    );
    assert_eq!(counts.sync_failures + counts.rotation_failures, 0);
    assert_eq!(fs::metadata(&path).unwrap().len(), 1000);
    fs::rename(&path, directory.path().join("moved")).unwrap();
    sink.reopen();
    until("the new file", || path.exists());
    sink.push(b"new\n".to_vec()).unwrap();
    sink.flush(DEADLINE).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
}

#[test]
fn a_target_that_cannot_be_opened_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none/log");
    Sink::start(Settings::new("test", Target::File(path))).unwrap_err();
    assert_eq!(Target::named(Path::new("-")), Target::Stdout);
}
