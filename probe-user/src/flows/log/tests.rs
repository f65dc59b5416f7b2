use std::{fs, path::Path};

use super::*;
use crate::{
    flows::{
        read::{Reader, Record},
        record::{Event, tests::fixtures},
    },
    model::Flow,
    sinks::Target,
};

const DEADLINE: Duration = Duration::from_secs(30);

fn start(path: &Path, lines: usize) -> FlowLog {
    let settings = Settings {
        lines,
        ..Settings::new("flow log", Target::File(path.into()))
    };
    FlowLog::start(settings, fixtures::origin(), fixtures::clock()).unwrap()
}

fn update(flow: &Flow, at: u64) -> Observed<'_> {
    Observed {
        event: Event::Update,
        since: Duration::from_secs(at - 1),
        at: Duration::from_secs(at),
        complete: Some(true),
        ..fixtures::observed(flow)
    }
}

fn loss(count: u64, at: u64) -> Loss {
    Loss {
        stream: "flow",
        stage: "kernel",
        reason: "flow_table_full",
        unit: "packets",
        count,
        exact: true,
        first: Duration::from_secs(at),
        last: Duration::from_secs(at),
        cpu: None,
    }
}

/// The records in a file, in short.
fn read(path: &Path) -> Vec<String> {
    Reader::open(path)
        .unwrap()
        .map(|record| match record.unwrap() {
            Record::Flow(it) => {
                let lost: Vec<String> = it
                    .lost_before
                    .iter()
                    .flatten()
                    .map(|(stage, count)| format!(" {stage}={count}"))
                    .collect();
                format!("{} flow {:?}{}", it.seq, it.complete, lost.concat())
            }
            Record::Loss(it) => format!("{} loss {} {}", it.seq, it.reason, it.count),
            Record::Gap(it) => format!("{} gap {}", it.seq, it.cause),
            Record::Balance(it) => format!("{} balance {}", it.seq, it.error),
            Record::Hubble(line) => format!("{line:?}"),
            Record::Other { kind } => kind,
        })
        .collect()
}

#[test]
fn records_are_numbered_and_losses_mark_the_flows_of_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = start(&path, 100);
    let flow = fixtures::udp();
    let gap = Gap {
        cause: "restart",
        from: Duration::from_secs(1),
        to: Duration::from_secs(2),
        probes: vec!["flows"],
    };
    assert!(log.gap(Duration::from_secs(2), &gap));
    assert!(log.flow(&update(&flow, 4)));
    log.loss(Duration::from_secs(5), &loss(3, 5));
    log.loss(Duration::from_secs(5), &loss(4, 5));
    log.loss(Duration::from_secs(5), &loss(5, 5));
    log.loss(Duration::from_secs(5), &loss(0, 5));
    assert!(log.flow(&update(&flow, 5)));
    assert!(log.flow(&update(&flow, 6)));
    assert!(log.flow(&update(&flow, 7)));
    log.loss(Duration::from_secs(7), &loss(6, 7));
    let balance = Balance {
        seen: 10,
        ..fixtures::balance()
    };
    assert!(log.balance(Duration::from_secs(7), &balance));
    log.flush(Duration::from_secs(7), DEADLINE).unwrap();
    assert_eq!(
        read(&path),
        [
            "1 gap restart",
            "2 flow Some(true)",
            "3 loss flow_table_full 3",
            "4 flow Some(false) kernel=12",
            "5 loss flow_table_full 9",
            "6 flow Some(false)",
            "7 flow Some(true)",
            "8 loss flow_table_full 6",
            "9 balance 0",
        ]
    );
    assert_eq!(log.counts().records, 9);
}

#[test]
fn a_record_that_finds_no_room_is_a_hole_and_a_loss() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = start(&path, 0);
    let flow = fixtures::udp();
    assert!(!log.flow(&update(&flow, 1)));
    assert!(!log.flow(&update(&flow, 2)));
    let counts = log.counts();
    assert_eq!((counts.records, counts.refused), (2, 2));
    // The queue has room again.
    let FlowLog { state, origin, .. } = log;
    let log = FlowLog {
        sink: Sink::start(Settings::new("flow log", Target::File(path.clone()))).unwrap(),
        origin,
        state,
    };
    assert!(log.flow(&update(&flow, 3)));
    log.flush(Duration::from_secs(3), DEADLINE).unwrap();
    assert_eq!(
        read(&path),
        ["3 loss queue_full 2", "4 flow Some(true) queue=2"]
    );
}

#[test]
fn a_full_disk_stops_nobody_and_is_told_of_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(_disk) = Tmpfs::mount(&disk) else {
        test_skip::skip("mount", "no privilege to mount a small disk");
        return;
    };
    let filler = disk.join("filler");
    fs::write(&filler, vec![0; 40 << 10]).unwrap();
    let path = disk.join("log");
    let log = start(&path, 20);
    let flow = fixtures::tcp();
    let written = (1..200).filter(|at| log.flow(&update(&flow, *at))).count();
    assert!(written < 199, "the disk is small");
    log.flush(Duration::from_secs(200), Duration::from_millis(300))
        .unwrap_err();
    assert!(log.counts().sink.fault.is_some());
    fs::remove_file(&filler).unwrap();
    log.flush(Duration::from_secs(201), DEADLINE).unwrap();
    log.flush(Duration::from_secs(202), DEADLINE).unwrap();
    let records = read(&path);
    assert_eq!(
        records.iter().filter(|it| it.contains("flow Some")).count(),
        written
    );
    let lost: usize = records
        .iter()
        .filter_map(|it| it.split_once("queue_full ")?.1.parse::<usize>().ok())
        .sum();
    assert_eq!(lost + written, 199);
    assert_eq!(log.counts().sink.fault, None);
}

/// A disk of 64 KiB.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: &Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        mounted
            .is_ok_and(|it| it.success())
            .then(|| Self(at.into()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status()
            .ok();
    }
}
