//! Small HTTP/1 requests over a unix socket.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, body::Incoming, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::error::SourceError;

/// Sends a GET on a connection of its own and returns the response once its head is there.
///
/// Connecting to a unix socket takes microseconds, so no connection is kept and none can turn
/// stale.
pub(super) async fn get(
    socket: &Path,
    uri: &str,
) -> Result<hyper::Response<Incoming>, SourceError> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(protocol)?;
    // Ends when the response is read or dropped; its failure shows in the response.
    tokio::spawn(connection);
    let request = Request::get(uri)
        .header(HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| SourceError::Protocol(error.to_string()))?;
    sender.send_request(request).await.map_err(protocol)
}

/// Reads a response of at most `limit` bytes. Only 200 is a success, and 404 says that the thing is
/// not there.
pub(super) async fn read(
    response: hyper::Response<Incoming>,
    limit: usize,
) -> Result<Bytes, SourceError> {
    check(&response)?;
    let body = Limited::new(response.into_body(), limit).collect().await;
    Ok(body
        .map_err(|error| SourceError::Protocol(error.to_string()))?
        .to_bytes())
}

/// Fails for all but 200.
pub(super) fn check(response: &hyper::Response<Incoming>) -> Result<(), SourceError> {
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND => Err(SourceError::NotFound),
        other => Err(SourceError::Protocol(format!("HTTP status {other}"))),
    }
}

fn protocol(error: hyper::Error) -> SourceError {
    SourceError::Protocol(error.to_string())
}
