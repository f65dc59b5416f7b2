//! The answers that are not metrics.

use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use super::ProbeStatus;
use crate::model::FeatureState;

/// An answer with its whole body.
pub(super) type Answer = Response<Full<Bytes>>;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

const INDEX: &str = "<!doctype html>\n<html lang=\"en\">\n<title>nodeprobe</title>\n<h1>nodeprobe</h1>\n<ul>\n\
    <li><a href=\"/metrics\">/metrics</a>: OpenMetrics, Prometheus text or protobuf, or JSON, by Accept\n\
    <li><a href=\"/healthz\">/healthz</a>: the agent is alive\n\
    <li><a href=\"/readyz\">/readyz</a>: every enabled probe that the kernel can run is attached\n</ul>\n</html>\n";

/// An answer of any type. Never cached: every page is about this moment.
pub(super) fn answer(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A line or more of text.
pub(super) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    answer(status, PLAIN, body)
}

pub(super) fn index() -> Answer {
    answer(
        StatusCode::OK,
        HeaderValue::from_static("text/html; charset=utf-8"),
        INDEX,
    )
}

pub(super) fn not_found() -> Answer {
    text(
        StatusCode::NOT_FOUND,
        "there is nothing here; try /metrics, /healthz or /readyz\n",
    )
}

pub(super) fn method_not_allowed() -> Answer {
    let mut answer = text(
        StatusCode::METHOD_NOT_ALLOWED,
        "only GET and HEAD are understood\n",
    );
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// Ready is: every enabled probe that this kernel can run is attached, and there is one unless all
/// are off. The body says the same of each, whichever the status, and ends with the notes.
pub(super) fn ready(probes: &[ProbeStatus], notes: &[String]) -> Answer {
    let any = |wanted: fn(&FeatureState) -> bool| probes.iter().any(|p| wanted(&p.state));
    let failed = any(|state| matches!(state, FeatureState::Failed(_)));
    let attached = any(|state| matches!(state, FeatureState::On | FeatureState::Degraded(_)));
    let unsupported = any(|state| matches!(state, FeatureState::Unsupported(_)));
    let ready = !probes.is_empty() && !failed && (attached || !unsupported);
    let mut body = String::from(match (ready, probes.is_empty()) {
        (true, _) => "ready\n",
        (false, true) => "not ready: the probes are being loaded\n",
        (false, false) if failed => "not ready: an enabled probe is not attached\n",
        (false, false) => "not ready: this kernel can run none of the probes\n",
    });
    for ProbeStatus { probe, state } in probes {
        let reason = state
            .reason()
            .map(|why| format!(" ({why})"))
            .unwrap_or_default();
        // Writing to a string cannot fail.
        let _written = writeln!(body, "{probe}: {}{reason}", state.name());
    }
    for note in notes {
        let _written = writeln!(body, "note: {note}");
    }
    text(
        if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        },
        body,
    )
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn readiness(probes: &[(&'static str, FeatureState)]) -> (u16, String) {
        let status = |(probe, state): &(&'static str, FeatureState)| ProbeStatus {
            probe,
            state: state.clone(),
        };
        let answer = ready(&probes.iter().map(status).collect::<Vec<_>>(), &[]);
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_means_that_every_enabled_probe_is_attached() {
        let degraded = FeatureState::Degraded("latency is off".into());
        let attached = [
            ("syscalls", FeatureState::On),
            ("scheduler", degraded),
            ("flows", FeatureState::Off),
        ];
        let (status, body) = readiness(&attached).await;
        assert_eq!(status, 200);
        assert_eq!(
            body,
            "ready\nsyscalls: on\nscheduler: degraded (latency is off)\nflows: off\n"
        );
        let failed = FeatureState::Failed("no permission".into());
        let (status, body) =
            readiness(&[("syscalls", FeatureState::On), ("scheduler", failed)]).await;
        assert_eq!(status, 503);
        assert!(
            body.ends_with("syscalls: on\nscheduler: failed (no permission)\n"),
            "{body}"
        );
    }

    #[tokio::test]
    async fn what_the_kernel_cannot_do_keeps_nobody_waiting_unless_it_is_everything() {
        let unsupported = || FeatureState::Unsupported("Linux 5.17".into());
        let (status, body) =
            readiness(&[("syscalls", FeatureState::On), ("drops", unsupported())]).await;
        assert_eq!(status, 200);
        assert_eq!(
            body,
            "ready\nsyscalls: on\ndrops: unsupported (Linux 5.17)\n"
        );
        let (status, body) =
            readiness(&[("syscalls", FeatureState::Off), ("drops", unsupported())]).await;
        assert_eq!(status, 503);
        assert!(body.starts_with("not ready: this kernel can run none"));
        assert_eq!(readiness(&[("syscalls", FeatureState::Off)]).await.0, 200);
    }

    #[tokio::test]
    async fn notes_follow_the_probes_and_do_not_change_the_status() {
        let probe = ProbeStatus {
            probe: "syscalls",
            state: FeatureState::On,
        };
        let answer = ready(&[probe], &["2 containers have no name".to_owned()]);
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            "ready\nsyscalls: on\nnote: 2 containers have no name\n"
        );
    }

    #[tokio::test]
    async fn nothing_known_is_not_ready() {
        assert_eq!(readiness(&[]).await.0, 503);
    }
}
