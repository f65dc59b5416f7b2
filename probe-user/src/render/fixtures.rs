//! Reports and pictures that several tests show.

mod live;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use probe_common::hist::Histogram;

pub(super) use live::live;

use super::view::{
    By, ContainerRef, HistogramView, PreemptedBy, ProcessRef, Report, SchedView, Summary,
    SyscallView,
};

/// A container of a pod.
pub(super) fn pod(namespace: &str, pod: &str, name: &str) -> ContainerRef {
    ContainerRef {
        name: name.into(),
        namespace: namespace.into(),
        pod: pod.into(),
        id: Some("3f1c9a7e".repeat(8)),
        runtime: Some("kubernetes"),
        cgroup: Some(format!("/kubepods/{pod}/{name}")),
        apart: false,
    }
}

/// A systemd unit.
pub(super) fn host(name: &str) -> ContainerRef {
    ContainerRef {
        name: name.into(),
        namespace: "~host".into(),
        runtime: Some("systemd"),
        cgroup: Some(format!("/system.slice/{name}")),
        ..ContainerRef::default()
    }
}

fn cart() -> ContainerRef {
    pod("shop", "cart-7d9f8b6c5-x2x4z", "cart")
}

fn postgres() -> ContainerRef {
    pod("shop", "postgres-0", "postgres")
}

/// A histogram with a peak at `peak_ns` and a tail above it.
pub(super) fn histogram(peak_ns: u64, count: u64) -> HistogramView {
    let mut histogram = Histogram::EMPTY;
    for (shift, share) in [
        (0, 8),
        (1, 40),
        (2, 30),
        (3, 12),
        (4, 6),
        (5, 0),
        (6, 3),
        (9, 1),
    ] {
        let ns = (peak_ns / 2) << shift;
        let n = count * share / 100;
        histogram.buckets[probe_common::hist::bucket(ns)] += n;
        histogram.sum_ns += ns * n;
    }
    HistogramView::from(&histogram)
}

fn summary(tool: &'static str, by: By) -> Summary {
    Summary {
        tool,
        duration: Duration::from_secs(10),
        started: UNIX_EPOCH + Duration::from_secs(1_767_323_045),
        by,
        lost: BTreeMap::new(),
        notes: Vec::new(),
    }
}

/// What `nodeprobe syscalls --by container,syscall` found.
pub(crate) fn syscalls() -> Report<SyscallView> {
    let row = |container, syscall: &str, calls, errnos: &[(&str, u64)], latency| SyscallView {
        container,
        process: None,
        syscall: Some(syscall.into()),
        calls,
        errors: errnos.iter().map(|(_, n)| n).sum(),
        errnos: errnos
            .iter()
            .map(|(name, n)| ((*name).into(), *n))
            .collect(),
        latency,
    };
    let rows = vec![
        row(
            cart(),
            "epoll_wait",
            48_211,
            &[("EINTR", 12)],
            Some(histogram(800_000, 48_200)),
        ),
        row(
            cart(),
            "recvfrom",
            1_204_877,
            &[("EAGAIN", 602_400), ("ECONNRESET", 31)],
            Some(histogram(900, 1_204_800)),
        ),
        row(
            postgres(),
            "pread64",
            310_442,
            &[],
            Some(histogram(6000, 310_400)),
        ),
        row(
            postgres(),
            "openat",
            9_120,
            &[
                ("ENOENT", 9_000),
                ("EACCES", 100),
                ("ENAMETOOLONG", 15),
                ("ELOOP", 5),
            ],
            Some(histogram(4000, 9_100)),
        ),
        row(
            host("ssh.service"),
            "read",
            215,
            &[("EAGAIN", 215)],
            Some(histogram(700, 200)),
        ),
        row(ContainerRef::other(), "~other", 77, &[], None),
    ];
    Report {
        summary: summary("syscalls", By::ContainerSyscall),
        rows,
    }
}

/// What `nodeprobe syscalls --by process` found.
pub(crate) fn processes() -> Report<SyscallView> {
    let mut report = syscalls();
    report.summary.by = By::Process;
    for (pid, row) in (4711u32..).zip(&mut report.rows) {
        row.syscall = None;
        row.process = Some(ProcessRef {
            pid,
            comm: format!("worker-{pid}"),
        });
    }
    report
}

/// What `nodeprobe runqlat` found.
pub(crate) fn sched() -> Report<SchedView> {
    let preempted = |container, count| PreemptedBy {
        container,
        process: None,
        count,
    };
    let cart = SchedView {
        container: cart(),
        runqueue: histogram(3000, 41_000),
        oncpu_seconds: 6.42,
        voluntary_switches: 40_211,
        involuntary_switches: 1_902,
        offcpu_voluntary: histogram(400_000, 40_200),
        offcpu_involuntary: histogram(1_500_000, 1_900),
        uninterruptible_seconds: 0.31,
        preempted_by: vec![
            preempted(pod("batch", "hog-0", "hog"), 1_720),
            preempted(host("kubelet.service"), 120),
            preempted(host("containerd.service"), 60),
            preempted(ContainerRef::other(), 2),
        ],
        ..SchedView::default()
    };
    let idle = SchedView {
        container: host("cron.service"),
        ..SchedView::default()
    };
    Report {
        summary: summary("runqlat", By::Container),
        rows: vec![cart, idle],
    }
}

/// Compares a text with a file below `tests/fixtures/render`, or writes that file when
/// `UPDATE_GOLDEN` is set.
pub(super) fn assert_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fixtures/render")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == golden,
        "{name} differs; UPDATE_GOLDEN=1 accepts\n--- expected\n{golden}--- shown\n{text}"
    );
}
