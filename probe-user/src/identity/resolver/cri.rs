//! The Kubernetes container runtime interface: containerd, CRI-O and others.

pub(super) mod messages;

use std::{path::Path, time::Duration};

use prost::Message;
use tonic::Request;

use super::{error::SourceError, gate::Gate, grpc::Socket, labels};
use crate::{identity::Names, model::Runtime};
use messages::{
    ContainerFilter, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
    ListPodSandboxResponse, PodSandbox, PodSandboxFilter, VersionRequest, VersionResponse,
};

/// The methods, each in the version of today and in the one before, whose messages are the same.
const LIST_CONTAINERS: [&str; 2] = [
    "/runtime.v1.RuntimeService/ListContainers",
    "/runtime.v1alpha2.RuntimeService/ListContainers",
];
const LIST_SANDBOXES: [&str; 2] = [
    "/runtime.v1.RuntimeService/ListPodSandbox",
    "/runtime.v1alpha2.RuntimeService/ListPodSandbox",
];
const VERSION: [&str; 2] = [
    "/runtime.v1.RuntimeService/Version",
    "/runtime.v1alpha2.RuntimeService/Version",
];

/// One socket.
#[derive(Debug)]
pub(super) struct Cri {
    socket: Socket,
    gate: Gate,
}

impl Cri {
    /// Must be called inside a tokio runtime.
    pub(super) fn new(socket: &Path, timeout: Duration) -> Self {
        Self {
            socket: Socket::new(socket),
            gate: Gate::new(timeout),
        }
    }

    /// Names of a container or of a pod's sandbox.
    pub(super) async fn names(&self, id: &str) -> Result<Names, SourceError> {
        self.gate.call(self.find(id)).await
    }

    async fn find(&self, id: &str) -> Result<Names, SourceError> {
        let filter = Some(ContainerFilter { id: id.to_owned() });
        let request = ListContainersRequest { filter };
        let list: ListContainersResponse = self.call(LIST_CONTAINERS, request).await?;
        // The filter takes the beginning of an id for an id.
        let Some(container) = list.containers.into_iter().find(|found| found.id == id) else {
            return Ok(pod_names(self.sandbox(id).await?, Names::PAUSE));
        };
        let name = container.metadata.unwrap_or_default().name;
        match labels::kubernetes(&container.labels, &name) {
            Some(names) => Ok(names),
            None => Ok(pod_names(
                self.sandbox(&container.pod_sandbox_id).await?,
                &name,
            )),
        }
    }

    async fn sandbox(&self, id: &str) -> Result<PodSandbox, SourceError> {
        let filter = Some(PodSandboxFilter { id: id.to_owned() });
        let list: ListPodSandboxResponse = self
            .call(LIST_SANDBOXES, ListPodSandboxRequest { filter })
            .await?;
        list.items
            .into_iter()
            .find(|found| found.id == id)
            .ok_or(SourceError::NotFound)
    }

    async fn call<Q, A>(
        &self,
        [current, previous]: [&'static str; 2],
        request: Q,
    ) -> Result<A, SourceError>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        match self
            .socket
            .unary(current, Request::new(request.clone()))
            .await
        {
            Err(SourceError::Unimplemented) => {
                self.socket.unary(previous, Request::new(request)).await
            }
            answer => answer,
        }
    }

    /// Name and version of the runtime behind the socket.
    pub(super) async fn version(&self) -> Result<String, SourceError> {
        let request = VersionRequest {
            version: "v1".to_owned(),
        };
        let answer: VersionResponse = self.gate.call(self.call(VERSION, request)).await?;
        Ok(format!(
            "{} {}",
            answer.runtime_name, answer.runtime_version
        ))
    }
}

fn pod_names(sandbox: PodSandbox, container: &str) -> Names {
    let pod = sandbox.metadata.unwrap_or_default();
    Names {
        runtime: Runtime::Kubernetes,
        namespace: pod.namespace,
        pod: pod.name,
        pod_uid: pod.uid,
        name: container.to_owned(),
    }
}
