//! Turns away connections: those that are too many, and those that speak another protocol.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

/// Polite refusals at a time; beyond that the connection is just closed.
const REFUSALS: usize = 16;

/// How long a refused client may take to read why.
const PATIENCE: Duration = Duration::from_secs(1);

/// Most that is read of a request that gets no answer but this.
const READ_LIMIT: u64 = 64 * 1024;

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 40\r\nconnection: close\r\nretry-after: 1\r\n\r\ntoo many connections; try again shortly\n";

/// Sends refusals, a bounded number at a time.
#[derive(Clone)]
pub(super) struct Refuser(Arc<Semaphore>);

impl Refuser {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(REFUSALS)))
    }

    /// Closes the connection, with status 503 where there is time for it.
    pub(super) fn refuse(&self, stream: TcpStream) {
        if let Ok(place) = Arc::clone(&self.0).try_acquire_owned() {
            tokio::spawn(async move {
                send_and_close(stream, BUSY).await;
                drop(place);
            });
        }
    }
}

/// Sends the last bytes of a connection and closes it, within a second.
pub(super) async fn send_and_close(stream: TcpStream, bytes: &[u8]) {
    // What the client makes of it is its own affair.
    let _outcome = timeout(PATIENCE, send(stream, bytes)).await;
}

/// Reads what the client sends until it closes: closing a socket with unread data resets the connection, and the
/// client would not see the answer.
async fn send(mut stream: TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(READ_LIMIT), &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_states_its_length() {
        let text = std::str::from_utf8(BUSY).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }
}
