//! Answers one request.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, HeaderValue, VARY},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{
    Backend, Limits, encoding,
    pages::{self, Answer},
};
use crate::metrics::Format;

/// What all connections share.
pub(super) struct Service<B> {
    pub(super) backend: Arc<B>,
    limits: Limits,
    renders: Arc<Semaphore>,
}

impl<B: Backend> Service<B> {
    pub(super) fn new(backend: Arc<B>, limits: Limits) -> Self {
        let renders = Arc::new(Semaphore::new(limits.renders.max(1)));
        Self {
            backend,
            limits,
            renders,
        }
    }

    /// Answers a request and counts the answer. Request bodies are not read.
    pub(super) async fn call<T>(&self, request: Request<T>) -> Result<Answer, Infallible> {
        let answer = self
            .route(request.method(), request.uri().path(), request.headers())
            .await;
        self.backend.answered(answer.status().as_u16());
        Ok(answer)
    }

    async fn route(&self, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
        if !matches!(path, "/" | "/metrics" | "/healthz" | "/readyz") {
            return pages::not_found();
        }
        // The connection leaves the body away for HEAD.
        if !matches!(*method, Method::GET | Method::HEAD) {
            return pages::method_not_allowed();
        }
        match path {
            "/metrics" => self.metrics(headers).await,
            "/readyz" => pages::ready(&self.backend.probes(), &self.backend.notes()),
            "/healthz" => pages::text(StatusCode::OK, "ok\n"),
            _ => pages::index(),
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Answer {
        let format = Format::negotiate(&joined(headers, &ACCEPT));
        let gzip = encoding::prefers_gzip(&joined(headers, &ACCEPT_ENCODING));
        match timeout(self.limits.render_timeout, self.render(format, gzip)).await {
            Ok(Ok(body)) => exposition(format, body),
            Ok(Err(fault)) => pages::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")),
            Err(_elapsed) => {
                let limit = humantime::format_duration(self.limits.render_timeout);
                let fault = format!(
                    "the metrics were not ready within {limit}; the host may be overloaded\n"
                );
                pages::text(StatusCode::SERVICE_UNAVAILABLE, fault)
            }
        }
    }

    async fn render(&self, format: Format, gzip: bool) -> Result<Body, String> {
        let place = Arc::clone(&self.renders)
            .acquire_owned()
            .await
            .map_err(|e| e.to_string())?;
        let backend = Arc::clone(&self.backend);
        let rendering = spawn_blocking(move || {
            let rendered = backend.render(format).map(|plain| Body::new(plain, gzip));
            // Given back when the work is done, not when the client has lost its patience.
            drop(place);
            rendered
        });
        rendering
            .await
            .unwrap_or_else(|_panic| Err("the metrics could not be rendered; see the log".into()))
    }
}

/// Metrics as they are sent. Of the plain and the compressed form only the one that is sent is kept.
struct Body {
    bytes: Bytes,
    gzip: bool,
}

impl Body {
    fn new(plain: Bytes, gzip: bool) -> Self {
        let compressed = gzip.then(|| encoding::gzip(&plain).ok()).flatten();
        let gzip = compressed.is_some();
        Self {
            bytes: compressed.unwrap_or(plain),
            gzip,
        }
    }
}

/// A successful response with metrics.
fn exposition(format: Format, body: Body) -> Answer {
    let content_type = HeaderValue::from_static(format.content_type());
    let mut response = pages::answer(StatusCode::OK, content_type, body.bytes);
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if body.gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// All values of a header that are text, as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}
