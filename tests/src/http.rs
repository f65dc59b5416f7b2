//! The smallest HTTP client: one request, one connection, no dependency that could share a bug with
//! the server.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header lines, as they came.
    pub head: String,
    /// Body, as it came.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Gets a path. HTTP/1.0, so that the body ends with the connection and is never chunked.
///
/// # Errors
///
/// If there is no answer within 30 s.
pub fn get(address: SocketAddr, path: &str, accept: &str) -> Result<Response> {
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    );
    let bytes = send(address, request.as_bytes())?;
    let split = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .context("the answer has no end of its head")?;
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .context("the answer has no status")?;
    Ok(Response {
        status,
        head,
        body: bytes[split + 4..].to_vec(),
    })
}

/// Sends bytes and returns whatever comes back until the other side closes.
///
/// # Errors
///
/// If there is no connection, or none of its ends within 30 s.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let limit = Duration::from_secs(30);
    let mut stream = TcpStream::connect_timeout(&address, limit)
        .with_context(|| format!("connect to {address}"))?;
    stream
        .set_read_timeout(Some(limit))
        .context("set the time limit")?;
    stream.write_all(bytes).context("send the request")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read the answer")?;
    Ok(answer)
}
