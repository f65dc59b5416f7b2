use super::*;

fn segments(path: &Path, rotation: Rotation) -> Segments {
    Segments::open(
        path.into(),
        rotation,
        Fsync::Never,
        None,
        Arc::new(Tally::default()),
    )
    .unwrap()
}

fn small(size: u64, keep: usize) -> Rotation {
    Rotation {
        size,
        keep,
        compress: false,
        ..Rotation::default()
    }
}

fn line(segments: &mut Segments, line: &str, now: SystemTime) {
    segments.prepare(line.len(), now).unwrap();
    assert_eq!(segments.write(line.as_bytes()).unwrap(), line.len());
}

fn contents(path: &Path) -> Vec<String> {
    let files = files::segments(path).unwrap();
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

#[test]
fn a_file_never_outgrows_its_size_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut log = segments(&path, small(8, 2));
    for text in [
        "aaa\n",
        "bbb\n",
        "ccc\n",
        "a line that is longer\n",
        "ddd\n",
        "eee\n",
    ] {
        line(&mut log, text, SystemTime::now());
    }
    assert_eq!(
        contents(&path),
        ["ccc\n", "a line that is longer\n", "ddd\neee\n"]
    );
    assert_eq!(log.tally.rotations.load(Relaxed), 3);
    assert_eq!(log.tally.removed.load(Relaxed), 1);
}

#[test]
fn an_old_file_is_put_aside_without_a_further_line_and_an_empty_one_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let age = Duration::from_secs(3600);
    let mut log = segments(
        &path,
        Rotation {
            age,
            ..small(1000, 9)
        },
    );
    let now = SystemTime::now();
    log.tick(now + 2 * age);
    line(&mut log, "a\n", now);
    log.tick(now + age / 2);
    assert_eq!(contents(&path), ["a\n"]);
    log.tick(now + 2 * age);
    line(&mut log, "b\n", now);
    assert_eq!(contents(&path), ["a\n", "b\n"]);
}

#[test]
fn a_file_with_half_a_line_at_its_end_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, "whole\nha").unwrap();
    let mut log = segments(&path, small(1000, 9));
    line(&mut log, "next\n", SystemTime::now());
    drop(log);
    let mut log = segments(&path, small(1000, 9));
    line(&mut log, "last\n", SystemTime::now());
    assert_eq!(contents(&path), ["whole\nha\nnext\nlast\n"]);
}

#[test]
fn half_a_line_is_finished_only_in_the_file_that_has_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let now = SystemTime::now();
    let mut log = segments(&path, small(1000, 9));
    line(&mut log, "hal", now);
    assert_eq!(log.reopen(now).unwrap(), Opened::Continued);
    fs::rename(&path, directory.path().join("elsewhere")).unwrap();
    assert_eq!(log.reopen(now).unwrap(), Opened::Anew);
    line(&mut log, "half\n", now);
    assert_eq!(contents(&path), ["half\n"]);
    fs::write(&path, "").unwrap();
    assert_eq!(
        log.reopen(now).unwrap(),
        Opened::Anew,
        "cut by somebody else"
    );
}

#[test]
fn a_file_that_somebody_else_moved_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut log = segments(&path, small(4, 9));
    line(&mut log, "a\n", SystemTime::now());
    fs::rename(&path, directory.path().join("moved")).unwrap();
    fs::write(&path, "other\n").unwrap();
    line(&mut log, "bbb\n", SystemTime::now());
    assert_eq!(contents(&path), ["other\nbbb\n"]);
}

#[test]
fn a_file_that_cannot_be_put_aside_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let mut log = segments(&path, small(4, 9));
    let now = SystemTime::now();
    line(&mut log, "aaa\n", now);
    // A name that is too long with a time at its end stands for a directory that may not be written.
    let long = directory.path().join("x".repeat(250));
    fs::rename(&path, &long).unwrap();
    log.path.clone_from(&long);
    line(&mut log, "bbb\n", now);
    line(&mut log, "ccc\n", now);
    assert_eq!(fs::read_to_string(&long).unwrap(), "aaa\nbbb\nccc\n");
    assert_eq!(log.tally.rotation_failures.load(Relaxed), 1);
}

#[test]
fn what_is_no_regular_file_is_written_as_a_stream() {
    let mut log = segments(Path::new("/dev/null"), small(1, 1));
    for _ in 0..3 {
        line(&mut log, "gone\n", SystemTime::now());
    }
    log.tick(SystemTime::now());
    assert_eq!(log.tally.rotations.load(Relaxed), 0);
}
