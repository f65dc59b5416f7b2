//! Accepts connections and sees each of them to its end.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    Backend, Dropped, Limits,
    protocol::{self, Protocol, Replay},
    refuse::Refuser,
    service::Service,
};

/// Pause after a failed accept: the cause, mostly a lack of file descriptors, does not go away by asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is done, then lets answers that are under way finish, for [`Limits::drain_timeout`] at most.
pub async fn serve<B: Backend>(
    listener: TcpListener,
    backend: Arc<B>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let service = Arc::new(Service::new(backend, limits.clone()));
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let refuser = Refuser::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) if connections.len() < limits.connections => {
                    let connection = Connection { limits: limits.clone(), stopped: stopped.clone() };
                    connections.spawn(connection.run(stream, Arc::clone(&service)));
                }
                Ok((stream, _peer)) => {
                    service.backend.dropped(Dropped::OverLimit);
                    refuser.refuse(stream);
                }
                Err(fault) => accept_failed(&fault).await,
            },
        }
    }
    drop(listener);
    drop(stop);
    while connections.join_next().await.is_some() {}
}

async fn accept_failed(fault: &io::Error) {
    // A client that gives up while it waits is no fault of ours.
    if fault.kind() != io::ErrorKind::ConnectionAborted {
        warn!(error = %fault, "cannot accept HTTP connections");
        sleep(ACCEPT_PAUSE).await;
    }
}

struct Connection {
    limits: Limits,
    /// Closed when the server stops.
    stopped: watch::Receiver<()>,
}

impl Connection {
    async fn run<B: Backend>(mut self, stream: TcpStream, service: Arc<Service<B>>) {
        let detected = tokio::select! {
            detected = timeout(self.limits.head_timeout, protocol::detect(stream)) => detected,
            _stopped = self.stopped.changed() => return,
        };
        match detected {
            Ok(Ok(Protocol::Http1(stream))) => self.serve(stream, service).await,
            Ok(Ok(Protocol::Http2(stream))) => {
                service.backend.dropped(Dropped::Http2);
                protocol::refuse_http2(stream).await;
            }
            Ok(Err(fault)) => {
                debug!(error = %fault, "HTTP connection ended");
                service.backend.dropped(Dropped::Io);
            }
            Err(_elapsed) => service.backend.dropped(Dropped::Timeout),
        }
    }

    async fn serve<B: Backend>(mut self, stream: Replay, service: Arc<Service<B>>) {
        let served = AtomicBool::new(false);
        let answer = service_fn(|request| {
            served.store(true, Ordering::Relaxed);
            service.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_bytes)
            .max_headers(self.limits.headers)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            _stopped = self.stopped.changed() => None,
            () = sleep(self.limits.connection_age) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                match timeout(self.limits.drain_timeout, connection).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => return service.backend.dropped(Dropped::Timeout),
                }
            }
        };
        match ended {
            Ok(()) => {}
            // A scraper that comes back later than the timeout: the usual end of a kept connection.
            Err(fault) if fault.is_timeout() && served.load(Ordering::Relaxed) => {}
            Err(fault) => report(&*service.backend, &fault),
        }
    }
}

/// Counts a connection that did not end well. Requests that are no HTTP were answered by the protocol itself.
fn report<B: Backend>(backend: &B, fault: &hyper::Error) {
    debug!(error = %fault, "HTTP connection ended");
    if fault.is_parse_too_large() {
        backend.answered(431);
    } else if fault.is_parse() {
        backend.answered(400);
    } else if fault.is_timeout() {
        backend.dropped(Dropped::Timeout);
    } else {
        backend.dropped(Dropped::Io);
    }
}
