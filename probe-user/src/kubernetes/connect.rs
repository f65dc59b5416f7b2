//! A client that counts what it asks and what comes back.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, combinators::MapFrame};
use hyper::{
    Request, Response,
    body::{Body, Frame},
};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig},
};
use tower::{Layer, Service};
use tracing::warn;

use super::{Settings, catalog::Catalog, reason};

/// How long to wait before the configuration is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Requests for a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// By status; 0 for those without an answer.
    pub by_status: BTreeMap<u16, u64>,
    /// Bytes of all answers, without their heads.
    pub bytes: u64,
}

/// Counts by resource: there are as many as are watched.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<Mutex<BTreeMap<String, Counted>>>);

#[derive(Clone, Debug, Default)]
struct Counted {
    counts: RequestCounts,
    answered_at: Option<Instant>,
}

impl Requests {
    pub(super) fn counts(&self) -> BTreeMap<String, RequestCounts> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|(resource, counted)| (resource.clone(), counted.counts.clone()))
            .collect()
    }

    /// When a resource was last answered well.
    pub(super) fn answered_at(&self, resource: &str) -> Option<Instant> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(resource)?.answered_at
    }

    fn of(&self, resource: &str, change: impl FnOnce(&mut Counted)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(resource.to_owned()).or_default());
    }

    fn answered(&self, resource: &str, status: u16) {
        self.of(resource, |counted| {
            *counted.counts.by_status.entry(status).or_default() += 1;
            if (200..300).contains(&status) {
                counted.answered_at = Some(Instant::now());
            }
        });
    }
}

/// A client, as soon as its configuration can be read.
pub(super) async fn connected(settings: &Settings, catalog: &Arc<Catalog>) -> Client {
    let mut was_told = false;
    loop {
        match connect(settings, catalog).await {
            Ok(client) => return client,
            Err(error) if !was_told => {
                warn!(
                    error = reason(&*error),
                    "Kubernetes cannot be asked: give `kubernetes.kubeconfig`, or run in a pod with a service account"
                );
                catalog.fail_all(&reason(&*error));
                was_told = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A client. Makes no request.
pub(super) async fn connect(
    settings: &Settings,
    catalog: &Arc<Catalog>,
) -> Result<Client, Failure> {
    let mut config = match &settings.kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
        }
        None => Config::incluster()?,
    };
    config.connect_timeout = Some(CONNECT);
    // Without TLS there is no need for the authorities that the system trusts, which an image or a small host may not have.
    let is_plain = config.cluster_url.scheme_str() == Some("http");
    if is_plain && config.root_cert.is_none() {
        config.root_cert = Some(Vec::new());
    }
    let counting = Counting(catalog.requests.clone());
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&counting)
        .build())
}

/// The layer that counts.
struct Counting(Requests);

impl<S> Layer<S> for Counting {
    type Service = Counter<S>;

    fn layer(&self, inner: S) -> Counter<S> {
        Counter {
            inner,
            requests: self.0.clone(),
        }
    }
}

#[derive(Clone)]
struct Counter<S> {
    inner: S,
    requests: Requests,
}

type CountFrame = Box<dyn FnMut(Frame<Bytes>) -> Frame<Bytes> + Send>;

impl<S, B, R> Service<Request<R>> for Counter<S>
where
    S: Service<Request<R>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<MapFrame<B, CountFrame>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let resource = resource(request.uri().path());
        let requests = self.requests.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => {
                    requests.answered(&resource, response.status().as_u16());
                    let count: CountFrame = Box::new(move |frame| {
                        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                        requests.of(&resource, |counted| counted.counts.bytes += bytes);
                        frame
                    });
                    Ok(response.map(|body| body.map_frame(count)))
                }
                Err(error) => {
                    requests.answered(&resource, 0);
                    Err(error)
                }
            }
        })
    }
}

/// What a path is about: `pods`; `~discovery` for questions about what the server has.
fn resource(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    let found = match rest {
        ["namespaces", _, resource, ..] | [resource, ..] => resource,
        [] => "~discovery",
    };
    found.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_are_about() {
        for (path, expected) in [
            ("/api/v1/pods", "pods"),
            ("/api/v1/namespaces", "namespaces"),
            ("/api/v1/namespaces/shop/events", "events"),
            ("/apis/discovery.k8s.io/v1/endpointslices", "endpointslices"),
            ("/apis/discovery.k8s.io/v1", "~discovery"),
            ("/version", "~discovery"),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }
}
