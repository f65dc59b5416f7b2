//! Detects clients that speak HTTP/2 without asking, and refuses them in their own protocol.
//!
//! The server speaks HTTP/1.1 only. A client with prior knowledge (`curl --http2-prior-knowledge`) sends frames that an
//! HTTP/1.1 parser cannot answer, so the first bytes are examined before the parser gets them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::refuse::send_and_close;

/// First line of the preface of an HTTP/2 client (RFC 9113, section 3.4). No HTTP/1 request begins with it.
const PREFACE: &[u8; 16] = b"PRI * HTTP/2.0\r\n";

/// Debug data of the GOAWAY frame, which clients show.
const REASON: &[u8] = b"nodeprobe speaks HTTP/1.1 only";

/// The protocol of a connection.
pub(super) enum Protocol {
    /// HTTP/1, or noise that its parser refuses.
    Http1(Replay),
    /// HTTP/2, without the first line of its preface.
    Http2(TcpStream),
}

/// Reads as many bytes as are needed to tell the protocol. Does not limit the time.
///
/// # Errors
///
/// If the connection breaks.
pub(super) async fn detect(mut stream: TcpStream) -> io::Result<Protocol> {
    let mut start = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() {
        let read = stream.read(&mut start[length..]).await?;
        length += read;
        if read == 0 || !PREFACE.starts_with(&start[..length]) {
            return Ok(Protocol::Http1(Replay {
                start,
                unread: 0..length,
                stream,
            }));
        }
    }
    Ok(Protocol::Http2(stream))
}

/// Tells an HTTP/2 client to use HTTP/1.1, and closes the connection.
pub(super) async fn refuse_http2(stream: TcpStream) {
    send_and_close(stream, &goaway()).await;
}

/// An empty SETTINGS frame, which a server sends first, and GOAWAY: last stream 0, error `HTTP_1_1_REQUIRED`.
fn goaway() -> Vec<u8> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const HTTP_1_1_REQUIRED: u8 = 0xd;
    let length = 8 + REASON.len() as u8;
    let head = [0, 0, length, 7, 0, 0, 0, 0, 0];
    let body = [0, 0, 0, 0, 0, 0, 0, HTTP_1_1_REQUIRED];
    [&SETTINGS[..], &head, &body, REASON].concat()
}

/// A connection whose first bytes were read already, and are read once more.
pub(super) struct Replay {
    start: [u8; PREFACE.len()],
    unread: std::ops::Range<usize>,
    stream: TcpStream,
}

impl AsyncRead for Replay {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let length = this.unread.len().min(buffer.remaining());
        let end = this.unread.start + length;
        buffer.put_slice(&this.start[this.unread.start..end]);
        this.unread.start = end;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_goaway_frame_states_its_length_and_the_error() {
        let frames = goaway();
        let (settings, rest) = frames.split_at(9);
        assert_eq!(settings[3], 4, "SETTINGS comes first");
        let length = usize::from(rest[2]);
        assert_eq!((rest[3], rest.len()), (7, 9 + length));
        assert_eq!(rest[13..17], [0, 0, 0, 0xd]);
        assert!(rest.ends_with(REASON));
    }
}
