//! containerd's own interface, for containers that Kubernetes did not make.

pub(super) mod messages;

use std::{path::Path, time::Duration};

use tonic::{Request, metadata::MetadataValue};

use super::{gate::Gate, grpc::Socket, labels, source::SourceError};
use crate::{
    identity::{Names, paths::short_id},
    model::Runtime,
};
use messages::{GetContainerRequest, GetContainerResponse, VersionResponse};

const GET: &str = "/containerd.services.containers.v1.Containers/Get";
const VERSION: &str = "/containerd.services.version.v1.Version/Version";

/// The header that chooses the namespace of a call.
const NAMESPACE: &str = "containerd-namespace";

/// One socket.
#[derive(Debug)]
pub(super) struct Containerd {
    socket: Socket,
    gate: Gate,
}

impl Containerd {
    /// Must be called inside a tokio runtime.
    pub(super) fn new(socket: &Path, timeout: Duration) -> Self {
        Self {
            socket: Socket::new(socket),
            gate: Gate::new(timeout),
        }
    }

    /// Names of a container. That there is one is an answer in itself: the path alone does not
    /// tell.
    pub(super) async fn names(&self, namespace: &str, id: &str) -> Result<Names, SourceError> {
        let mut request = Request::new(GetContainerRequest { id: id.to_owned() });
        let namespace = MetadataValue::try_from(namespace).map_err(|_| SourceError::NotFound)?;
        request.metadata_mut().insert(NAMESPACE, namespace);
        let answer: GetContainerResponse = self.gate.call(self.socket.unary(GET, request)).await?;
        let labels = answer.container.ok_or(SourceError::NotFound)?.labels;
        let name = labels
            .get("nerdctl/name")
            .map_or_else(|| readable(id), String::as_str);
        Ok(labels::kubernetes(&labels, name)
            .unwrap_or_else(|| Names::plain(Runtime::Containerd, name)))
    }

    /// Version of containerd.
    pub(super) async fn version(&self) -> Result<String, SourceError> {
        let answer: VersionResponse = self
            .gate
            .call(self.socket.unary(VERSION, Request::new(())))
            .await?;
        Ok(answer.version)
    }
}

/// An id that somebody chose is a name already.
fn readable(id: &str) -> &str {
    let made_up = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if made_up { short_id(id) } else { id }
}
