//! What a supervisor and a scraper can rely on.

use std::{sync::mpsc::sync_channel, thread};

use super::*;

fn idle(mount: &std::path::Path) -> Agent {
    Agent::new(
        Session::idle(mount),
        None,
        &Config::default(),
        Arc::new(|| 3),
    )
}

#[test]
fn health_does_not_wait_for_a_collection() {
    let mount = tempfile::tempdir().unwrap();
    let agent = Arc::new(idle(mount.path()));
    let _collector = lock(&agent.collector);
    let _registry = agent.registry.lock();
    let _probes = agent.session.attached();
    let (done, wait) = sync_channel(1);
    let server = agent.clone();
    thread::spawn(move || {
        server.probes();
        server.answered(200);
        server.dropped(Dropped::Io);
        done.send(()).unwrap();
    });
    assert_eq!(wait.recv_timeout(Duration::from_secs(10)), Ok(()));
}

#[test]
fn a_scrape_shows_what_was_served_and_which_log_lines_are_missing() {
    let mount = tempfile::tempdir().unwrap();
    let agent = idle(mount.path());
    agent.answered(200);
    agent.answered(200);
    agent.dropped(Dropped::OverLimit);
    for _ in 0..2 {
        let text = agent.render(Format::Text).unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        for line in [
            "nodeprobe_http_requests_total{code=\"200\"} 2",
            "nodeprobe_http_connections_dropped_total{reason=\"over_limit\"} 1",
            "nodeprobe_log_lines_lost_total 3",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}
