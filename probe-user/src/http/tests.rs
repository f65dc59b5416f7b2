//! The server as seen from a socket.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);

/// A backend whose rendering can be held up, and which remembers what it was told.
#[derive(Default)]
struct Fake {
    hold: AtomicBool,
    rendering: AtomicUsize,
    answered: Mutex<Vec<u16>>,
    dropped: Mutex<Vec<Dropped>>,
}

impl Backend for Fake {
    fn render(&self, format: Format) -> Result<Bytes, String> {
        self.rendering.fetch_add(1, Ordering::SeqCst);
        while self.hold.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        match format {
            Format::Json => Err("json is broken".into()),
            Format::OpenMetrics => panic!("rendering panics"),
            other => Ok(format!("{other:?}\n").into()),
        }
    }

    fn probes(&self) -> Vec<ProbeStatus> {
        vec![ProbeStatus {
            probe: "syscalls",
            state: FeatureState::On,
        }]
    }

    fn answered(&self, status: u16) {
        self.answered.lock().unwrap().push(status);
    }

    fn dropped(&self, reason: Dropped) {
        self.dropped.lock().unwrap().push(reason);
    }
}

/// A server on a thread of its own.
struct Server {
    address: SocketAddr,
    fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let fake = Arc::new(Fake::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = sync_channel(1);
        let backend = Arc::clone(&fake);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, backend, limits, async { drop(stopped.await) }).await;
            });
        });
        Self {
            address: address.recv().unwrap(),
            fake,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        read_to_close(&mut stream)
    }

    fn get(&self, path: &str, headers: &str) -> String {
        self.exchange(format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        ))
    }

    /// Stops and waits for the end of every connection.
    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.fake.hold.store(false, Ordering::SeqCst);
        self.stop();
    }
}

/// Everything until the end, where a reset counts as an end: the server closes on data that it did not read.
fn read_to_close(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(fault) => assert_eq!(
            fault.kind(),
            ErrorKind::ConnectionReset,
            "no end within {DEADLINE:?}"
        ),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !done() {
        assert!(
            Instant::now() < end,
            "{what} did not happen within {DEADLINE:?}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn every_page_answers_and_is_counted() {
    let server = Server::start(Limits::default());
    for (path, expected) in [
        ("/", "200"),
        ("/metrics", "200"),
        ("/healthz", "200"),
        ("/readyz?verbose", "200"),
        ("/nope", "404"),
    ] {
        assert_eq!(status(&server.get(path, "")), expected, "{path}");
    }
    assert!(
        server
            .get("/readyz", "")
            .ends_with("\r\n\r\nready\nsyscalls: on\n")
    );
    assert_eq!(
        *server.fake.answered.lock().unwrap(),
        [200, 200, 200, 200, 404, 200]
    );
}

#[test]
fn accept_decides_about_the_format() {
    let server = Server::start(Limits::default());
    let text = server.get("/metrics", "");
    assert!(
        text.contains("content-type: text/plain; version=0.0.4"),
        "{text}"
    );
    assert!(text.ends_with("\r\n\r\nText\n"), "{text}");
    let protobuf = "accept: text/plain;q=0.5\r\naccept: application/vnd.google.protobuf;\
        proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    assert!(
        server
            .get("/metrics", protobuf)
            .ends_with("\r\n\r\nProtobuf\n")
    );
}

#[test]
fn metrics_are_compressed_for_a_client_that_accepts_gzip() {
    let server = Server::start(Limits::default());
    let exchange = |headers: &str| {
        let mut stream = server.connect();
        let request =
            format!("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let end = response
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        let body = response.split_off(end);
        (String::from_utf8(response).unwrap(), body)
    };
    let (head, body) = exchange("accept-encoding: deflate\r\naccept-encoding: gzip;q=0.9\r\n");
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    assert!(head.contains("vary: accept, accept-encoding\r\n"), "{head}");
    assert!(
        head.contains(&format!("content-length: {}\r\n", body.len())),
        "{head}"
    );
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&*body)
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, "Text\n");
    for headers in [
        "",
        "accept-encoding: gzip;q=0\r\n",
        "accept-encoding: br\r\n",
    ] {
        let (head, body) = exchange(headers);
        assert!(!head.contains("content-encoding"), "{head}");
        assert_eq!(body, b"Text\n");
    }
}

#[test]
fn an_http2_client_is_told_to_use_http1_and_counted() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    let begin = Instant::now();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut frames = Vec::new();
    // An end, not a reset: the client reads everything.
    stream.read_to_end(&mut frames).unwrap();
    assert!(
        begin.elapsed() < DEADLINE / 2,
        "the client does not wait for a time-out"
    );
    assert_eq!(frames[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0], "SETTINGS");
    assert_eq!(
        (frames[12], frames[25]),
        (7, 0xd),
        "GOAWAY, HTTP_1_1_REQUIRED"
    );
    assert!(frames.ends_with(b"nodeprobe speaks HTTP/1.1 only"));
    assert_eq!(*server.fake.dropped.lock().unwrap(), [Dropped::Http2]);
}

#[test]
fn a_request_that_comes_byte_by_byte_or_begins_like_http2_is_served() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(status(&read_to_close(&mut stream)), "200");
    assert_eq!(
        status(&server.exchange("PRI * HTTP/1.1\r\nhost: x\r\n\r\n")),
        "404"
    );
    assert_eq!(status(&server.exchange("P\r\n\r\n")), "400");
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start(Limits::default());
    let answer = server.exchange("HEAD /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(status(&answer), "200");
    assert!(
        answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn other_methods_are_told_which_ones_work() {
    let server = Server::start(Limits::default());
    let answer = server.exchange(
        "POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc",
    );
    assert_eq!(status(&answer), "405");
    assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
}

#[test]
fn a_rendering_that_fails_or_panics_gives_500_and_the_next_one_works() {
    let server = Server::start(Limits::default());
    let failed = server.get("/metrics", "accept: application/json\r\n");
    assert_eq!(
        (
            status(&failed),
            failed.ends_with("\r\n\r\njson is broken\n")
        ),
        ("500", true)
    );
    assert_eq!(
        status(&server.get("/metrics", "accept: application/openmetrics-text\r\n")),
        "500"
    );
    assert_eq!(status(&server.get("/metrics", "")), "200");
}

#[test]
fn a_rendering_that_hangs_gives_503_and_threads_do_not_pile_up() {
    let limits = Limits {
        render_timeout: Duration::from_millis(50),
        renders: 2,
        ..Limits::default()
    };
    let server = Server::start(limits);
    server.fake.hold.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(status(&server.get("/metrics", "")), "503");
    }
    assert!(server.fake.rendering.load(Ordering::SeqCst) <= 2);
    server.fake.hold.store(false, Ordering::SeqCst);
    eventually("a rendering after the hang", || {
        status(&server.get("/metrics", "")) == "200"
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(Limits::default());
    let request = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /nope HTTP/1.1\r\nhost: x\r\n\r\n\
                   GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = server.exchange(request);
    let statuses: Vec<&str> = answer
        .matches("HTTP/1.1 200 OK")
        .chain(answer.matches("HTTP/1.1 404"))
        .collect();
    assert_eq!(statuses.len(), 3, "{answer}");
    assert_eq!(*server.fake.answered.lock().unwrap(), [200, 404, 200]);
}

#[test]
fn noise_gets_400_and_is_counted() {
    let server = Server::start(Limits::default());
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"\0\0\0\0",
        b"GET\r\n\r\n",
    ] {
        assert_eq!(status(&server.exchange(noise)), "400", "{noise:?}");
    }
    eventually("counting", || {
        *server.fake.answered.lock().unwrap() == [400; 3]
    });
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let server = Server::start(Limits::default());
    let long = server.get("/", &format!("x: {}\r\n", "y".repeat(100_000)));
    assert!(matches!(status(&long), "431" | "none"), "{long}");
    let many = (0..100).fold(String::new(), |all, i| all + &format!("x{i}: y\r\n"));
    assert_eq!(status(&server.get("/", &many)), "431");
    eventually("counting", || {
        *server.fake.answered.lock().unwrap() == [431; 2]
    });
}

#[test]
fn a_head_that_never_ends_is_cut_off_however_slowly_it_drips() {
    let server = Server::start(Limits {
        head_timeout: Duration::from_millis(200),
        ..Limits::default()
    });
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    eventually("the cut", || stream.write_all(b"x: y\r\n").is_err());
    eventually("counting", || {
        !server.fake.dropped.lock().unwrap().is_empty()
    });
    assert_eq!(*server.fake.dropped.lock().unwrap(), [Dropped::Timeout]);
}

#[test]
fn a_scraper_that_comes_back_too_late_is_not_counted_as_slow() {
    let server = Server::start(Limits {
        head_timeout: Duration::from_millis(100),
        ..Limits::default()
    });
    let answer = server.exchange("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(status(&answer), "200");
    // A connection that is counted, to know that the one before has been seen to its end.
    assert_eq!(read_to_close(&mut server.connect()), "");
    eventually("counting", || {
        !server.fake.dropped.lock().unwrap().is_empty()
    });
    assert_eq!(*server.fake.dropped.lock().unwrap(), [Dropped::Timeout]);
}

#[test]
fn a_connection_that_outlives_its_age_is_cut_off() {
    let (connection_age, drain_timeout) = (Duration::from_millis(100), Duration::from_millis(100));
    let server = Server::start(Limits {
        connection_age,
        drain_timeout,
        ..Limits::default()
    });
    server.fake.hold.store(true, Ordering::SeqCst);
    let mut stream = server.connect();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(read_to_close(&mut stream), "");
    assert_eq!(*server.fake.dropped.lock().unwrap(), [Dropped::Timeout]);
}

#[test]
fn connections_over_the_limit_get_503_until_one_ends() {
    let server = Server::start(Limits {
        connections: 2,
        ..Limits::default()
    });
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut held: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
    for stream in &mut held {
        stream.write_all(request).unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
    }
    let refused = server.exchange(request);
    assert_eq!(status(&refused), "503");
    assert!(
        refused.ends_with("too many connections; try again shortly\n"),
        "{refused}"
    );
    assert_eq!(*server.fake.dropped.lock().unwrap(), [Dropped::OverLimit]);
    held.clear();
    eventually("a free place", || {
        status(&server.get("/healthz", "")) == "200"
    });
}

#[test]
fn stopping_ends_idle_connections_and_lets_answers_finish() {
    let mut server = Server::start(Limits::default());
    let mut idle = server.connect();
    let mut busy = server.connect();
    server.fake.hold.store(true, Ordering::SeqCst);
    busy.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    eventually("the rendering", || {
        server.fake.rendering.load(Ordering::SeqCst) == 1
    });
    drop(server.stop.take());
    assert_eq!(read_to_close(&mut idle), "");
    server.fake.hold.store(false, Ordering::SeqCst);
    assert_eq!(status(&read_to_close(&mut busy)), "200");
    server.stop();
    assert!(TcpStream::connect(server.address).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_leave_the_server_alive(
        start in prop_oneof![Just(&b""[..]), Just(&b"PRI * HT"[..]), Just(&b"PRI * HTTP/2.0\r\n"[..]), Just(&b"GET /metrics HTTP/1.1\r\n"[..]), Just(&b"HEAD / HTTP/1."[..])],
        noise in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        static SERVER: std::sync::LazyLock<Server> = std::sync::LazyLock::new(|| {
            Server::start(Limits { head_timeout: Duration::from_millis(500), ..Limits::default() })
        });
        let mut stream = SERVER.connect();
        // The server may close in the middle of it.
        drop(stream.write_all(start).and_then(|()| stream.write_all(&noise)));
        drop(stream.shutdown(std::net::Shutdown::Write));
        read_to_close(&mut stream);
        let answer = SERVER.get("/healthz", "");
        prop_assert_eq!(status(&answer), "200");
    }
}
