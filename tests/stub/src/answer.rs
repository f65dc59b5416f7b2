//! Bodies of answers: whole, or as a watch goes on.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::state::Shared;

/// Bytes, or the connection breaks off.
pub(crate) type Chunk = io::Result<Bytes>;

#[derive(Debug)]
pub(crate) enum Content {
    /// Empty once it is sent.
    Whole(Bytes),
    Stream(mpsc::Receiver<Chunk>),
}

/// A body, whose bytes are counted as they leave.
#[derive(Debug)]
pub(crate) struct Answer {
    content: Content,
    shared: Arc<Shared>,
}

impl Answer {
    pub(crate) fn new(content: Content, shared: Arc<Shared>) -> Self {
        Self { content, shared }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let chunk = match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Content::Stream(chunks) => match chunks.poll_recv(context) {
                Poll::Ready(chunk) => chunk,
                Poll::Pending => return Poll::Pending,
            },
        };
        if let Some(Ok(bytes)) = &chunk {
            self.shared.count_sent(bytes.len());
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}
