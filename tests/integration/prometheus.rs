//! The metric registry and the HTTP server against the real thing.
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread,
    time::Instant,
};

use bytes::Bytes;
use probe_common::hist::Histogram;
use probe_user::{
    http::{self, Backend, Dropped, Limits, ProbeStatus},
    metrics::{
        Budgets, Format, SharedRegistry,
        families::{SCHED_ONCPU, SCHED_RUNQUEUE_LATENCY, SYSCALLS},
    },
};
use tests::{
    prometheus::{Prometheus, Scrape, get, promtool_check},
    skip::{Unavailable, program, skip, unless_available},
};
use tokio::sync::oneshot;

const CONTAINERS: usize = 100;
const CALLS: [&str; 10] = [
    "read",
    "write",
    "openat",
    "close",
    "futex",
    "epoll_wait",
    "mmap",
    "recvfrom",
    "sendto",
    "ppoll",
];

struct Fixed(SharedRegistry);

impl Backend for Fixed {
    fn render(&self, format: Format) -> Result<Bytes, String> {
        self.0
            .render(format, Instant::now())
            .map(Bytes::from)
            .map_err(|fault| fault.to_string())
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        Vec::new()
    }

    fn answered(&self, _status: u16) {}

    fn dropped(&self, _reason: Dropped) {}
}

/// Serves metrics until it is dropped.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Target {
    /// A registry of some thousand series.
    fn start() -> Self {
        Self::serve(Fixed(filled()))
    }

    pub(super) fn serve(backend: impl Backend) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                http::serve(listener, Arc::new(backend), Limits::default(), async {
                    drop(stopped.await)
                })
                .await;
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(thread::JoinHandle::join));
    }
}

/// 100 containers with 10 system calls and a run-queue histogram each: 2,700 time series and those of the probe.
fn filled() -> SharedRegistry {
    let metrics = SharedRegistry::new("node-1", Budgets::default());
    let mut registry = metrics.lock();
    let mut waits = Histogram::EMPTY;
    for _ in 0..90 {
        waits.observe(50_000);
    }
    for _ in 0..10 {
        waits.observe(3_000_000);
    }
    for container in 0..CONTAINERS {
        let (pod, name) = (format!("pod-{container}"), format!("app \"{container}\""));
        for (calls, call) in CALLS.iter().enumerate() {
            registry.add(&SYSCALLS, &["shop", &pod, &name, call], calls as u64 + 1);
        }
        registry.add_ns(&SCHED_ONCPU, &["shop", &pod, &name], 1_250_000_000);
        registry.observe(&SCHED_RUNQUEUE_LATENCY, &["shop", &pod, &name], &waits);
    }
    drop(registry);
    metrics
}

#[test]
fn promtool_finds_no_fault_with_the_text_form() {
    let target = Target::start();
    let answer = get(target.address, "/metrics", "*/*").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text().lines().count() > 2700);
    _ = unless_available("promtool", promtool_check(&answer.body));
}

#[test]
fn promtool_would_have_found_a_fault() {
    match promtool_check(b"# TYPE thing_count gauge\nthing_count 1\n") {
        Err(error) if error.is::<Unavailable>() => skip("promtool", &error.to_string()),
        found => assert!(found.is_err(), "no fault found"),
    }
}

/// What holds whichever way the metrics came.
fn check_sums(prometheus: &Prometheus) {
    let containers = CONTAINERS as f64;
    for (promql, expected) in [
        (
            "sum(nodeprobe_syscalls_total{node='node-1'})",
            55.0 * containers,
        ),
        (
            "count(nodeprobe_syscalls_total{namespace='shop'})",
            10.0 * containers,
        ),
        (
            "nodeprobe_syscalls_total{pod='pod-7',container='app \"7\"',syscall='ppoll'}",
            10.0,
        ),
        (
            "sum(nodeprobe_sched_oncpu_seconds_total)",
            1.25 * containers,
        ),
        (
            "nodeprobe_series{family='nodeprobe_syscalls_total'}",
            10.0 * containers,
        ),
        (
            "nodeprobe_series_limit{family='nodeprobe_syscalls_total'} >= bool 10000",
            1.0,
        ),
        ("sum(nodeprobe_series_overflow_total)", 0.0),
    ] {
        assert_eq!(prometheus.value(promql).unwrap(), expected, "{promql}");
    }
}

#[test]
fn prometheus_scrapes_the_text_form_with_classic_buckets() {
    let target = Target::start();
    let rig = Prometheus::start(target.address, Scrape::Text);
    let Some(mut prometheus) = unless_available("prometheus", rig) else {
        return;
    };
    prometheus.wait_for_scrape().unwrap();
    check_sums(&prometheus);
    let waits = "nodeprobe_sched_runqueue_latency_seconds";
    let bucket = format!("{waits}_bucket{{pod='pod-3',le='6.103515625e-05'}}");
    assert_eq!(prometheus.value(&bucket).unwrap(), 90.0);
    let bounds = prometheus
        .value(&format!("count({waits}_bucket{{pod='pod-3'}})"))
        .unwrap();
    assert_eq!(bounds, 14.0);
    // 3 ms lie between the bounds 2^-10 s and 2^-8 s.
    let p99 = prometheus
        .value(&format!(
            "histogram_quantile(0.99, {waits}_bucket{{pod='pod-3'}})"
        ))
        .unwrap();
    assert!(p99 > 2f64.powi(-10) && p99 <= 2f64.powi(-8), "{p99}");
}

#[test]
fn prometheus_scrapes_the_protobuf_form_with_native_histograms() {
    let target = Target::start();
    let rig = Prometheus::start(target.address, Scrape::Protobuf);
    let Some(mut prometheus) = unless_available("prometheus", rig) else {
        return;
    };
    prometheus.wait_for_scrape().unwrap();
    check_sums(&prometheus);
    let waits = "nodeprobe_sched_runqueue_latency_seconds{pod='pod-3'}";
    let value = |promql: String| prometheus.value(&promql).unwrap();
    assert_eq!(value(format!("histogram_count({waits})")), 100.0);
    let sum = value(format!("histogram_sum({waits})"));
    assert!((sum - 0.0345).abs() < 1e-9, "{sum}");
    // Native buckets are half as wide: 3 ms lie between 2^-9 s and 2^-8 s.
    let p99 = value(format!("histogram_quantile(0.99, {waits})"));
    assert!(p99 > 2f64.powi(-9) && p99 <= 2f64.powi(-8), "{p99}");
    assert_eq!(
        value(format!(
            "histogram_fraction(0, {}, {waits})",
            2f64.powi(-14)
        )),
        0.9
    );
}

/// Runs curl against a target, and returns its exit code and what it printed on both outputs.
fn curl(target: &Target, args: &[&str]) -> anyhow::Result<(Option<i32>, Vec<u8>, String)> {
    let mut command = std::process::Command::new(program("curl", "curl")?);
    let url = format!("http://{}/metrics", target.address);
    // A hang is a failure of its own kind: exit code 28.
    command
        .args(["-sSv", "--max-time", "60"])
        .args(args)
        .arg(url);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code(), output.stdout, said))
}

#[test]
fn curl_gets_compressed_metrics_that_are_much_smaller() {
    let target = Target::start();
    let plain = get(target.address, "/metrics", "*/*").unwrap().body;
    let raw = curl(&target, &["-H", "accept-encoding: gzip"]);
    let Some((code, compressed, said)) = unless_available("curl", raw) else {
        return;
    };
    assert_eq!(code, Some(0), "{said}");
    let ratio = plain.len() / compressed.len();
    eprintln!(
        "{} bytes plain, {} compressed",
        plain.len(),
        compressed.len()
    );
    assert!(ratio >= 10, "only {ratio} times smaller");
    let (code, unpacked, said) = curl(&target, &["--compressed"]).unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(unpacked == plain, "curl unpacks something else");
}

#[test]
fn curl_with_prior_knowledge_of_http2_ends_at_once_and_sees_the_reason() {
    let target = Target::start();
    let outcome = curl(&target, &["--http2-prior-knowledge"]);
    let Some((code, body, said)) = unless_available("curl", outcome) else {
        return;
    };
    // 28 is a time-out, 52 an empty response, 56 a reset.
    assert!(
        !matches!(code, Some(0 | 28 | 52 | 56) | None),
        "{code:?} {said}"
    );
    assert!(body.is_empty());
    // Versions of curl spell the word in their own way; 13 is HTTP_1_1_REQUIRED.
    assert!(said.contains("GOAWAY") && said.contains("13"), "{said}");
}
