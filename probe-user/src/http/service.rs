//! Answers one request.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{ACCEPT, HeaderValue},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{
    Backend, Limits,
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
            "/readyz" => pages::ready(&self.backend.probes()),
            "/healthz" => pages::text(StatusCode::OK, "ok\n"),
            _ => pages::index(),
        }
    }

    async fn metrics(&self, headers: &HeaderMap) -> Answer {
        let accept: Vec<&str> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .collect();
        let format = Format::negotiate(&accept.join(","));
        match timeout(self.limits.render_timeout, self.render(format)).await {
            Ok(Ok(body)) => pages::answer(
                StatusCode::OK,
                HeaderValue::from_static(format.content_type()),
                body,
            ),
            Ok(Err(fault)) => pages::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{fault}\n")),
            Err(_elapsed) => {
                let limit = self.limits.render_timeout;
                let fault = format!(
                    "the metrics were not ready within {limit:?}; the host may be overloaded\n"
                );
                pages::text(StatusCode::SERVICE_UNAVAILABLE, fault)
            }
        }
    }

    async fn render(&self, format: Format) -> Result<Bytes, String> {
        let place = Arc::clone(&self.renders)
            .acquire_owned()
            .await
            .map_err(|e| e.to_string())?;
        let backend = Arc::clone(&self.backend);
        let rendering = spawn_blocking(move || {
            let rendered = backend.render(format);
            // Given back when the work is done, not when the client has lost its patience.
            drop(place);
            rendered
        });
        rendering
            .await
            .unwrap_or_else(|_panic| Err("the metrics could not be rendered; see the log".into()))
    }
}
