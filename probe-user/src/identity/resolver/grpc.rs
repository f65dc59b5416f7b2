//! Unary gRPC calls over a unix socket, without generated code.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tonic::{
    Code, Request, Status, Streaming,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::error::SourceError;

/// A socket, connected when it is first used and again when the connection broke.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    path: PathBuf,
    channel: Channel,
}

impl Socket {
    /// Does not connect yet. Must be called inside a tokio runtime.
    pub(super) fn new(path: &Path) -> Self {
        let path = path.to_owned();
        let target = path.clone();
        let connect = tower::service_fn(move |_| {
            let target = target.clone();
            async move { Ok::<_, std::io::Error>(TokioIo::new(UnixStream::connect(target).await?)) }
        });
        // The name is only what the runtime sees as the authority.
        let channel =
            Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect);
        Self { path, channel }
    }

    /// Calls `method`, which is `/package.Service/Method`.
    pub(super) async fn unary<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
    ) -> Result<A, SourceError>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut client = self.client().await?;
        let method = hyper::http::uri::PathAndQuery::from_static(method);
        let answer = client.unary(request, method, ProstCodec::default()).await;
        answer.map(tonic::Response::into_inner).map_err(from_status)
    }

    /// Calls a `method` that answers with a stream.
    pub(super) async fn stream<Q, A>(
        &self,
        method: &'static str,
        request: Request<Q>,
    ) -> Result<Stream<A>, SourceError>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut client = self.client().await?;
        let method = hyper::http::uri::PathAndQuery::from_static(method);
        let answer = client
            .server_streaming(request, method, ProstCodec::default())
            .await;
        answer
            .map(|answer| Stream(answer.into_inner()))
            .map_err(from_status)
    }

    async fn client(&self) -> Result<Grpc<Channel>, SourceError> {
        // A missing socket is told apart here: gRPC would only say that it is unavailable.
        tokio::fs::metadata(&self.path).await?;
        let mut client = Grpc::new(self.channel.clone());
        client
            .ready()
            .await
            .map_err(|error| SourceError::Unreachable(error.to_string()))?;
        Ok(client)
    }
}

/// Messages that come one after another.
pub(super) struct Stream<A>(Streaming<A>);

impl<A> Stream<A> {
    /// The next message; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<A>, SourceError> {
        self.0.message().await.map_err(from_status)
    }
}

fn from_status(status: Status) -> SourceError {
    match status.code() {
        Code::NotFound => SourceError::NotFound,
        Code::Unavailable => SourceError::Unreachable(status.message().to_owned()),
        Code::DeadlineExceeded | Code::Cancelled => SourceError::Timeout,
        Code::Unimplemented => SourceError::Unimplemented,
        code => SourceError::Protocol(format!("{code:?}: {}", status.message())),
    }
}
