//! containerd's own interface, for containers outside Kubernetes.
//!
//! Whoever starts a container chooses its cgroup, so the path alone does not show that it is one. containerd reports its tasks, and
//! `/proc` and the container's specification show their cgroups.

mod cgroup;
pub(super) mod messages;

use std::{path::Path, time::Duration};

use prost::Message;
use tonic::{Request, metadata::MetadataValue};

use super::{error::SourceError, gate::Gate, grpc::Socket, labels, source::Reports};
use crate::{
    identity::{
        Names, Told,
        paths::{parse, readable_id},
    },
    model::Runtime,
};
use messages::{
    Container, Envelope, GetContainerRequest, GetContainerResponse, ListNamespacesRequest,
    ListNamespacesResponse, ListTasksRequest, ListTasksResponse, SubscribeRequest, TaskStart,
    VersionResponse,
};

const GET: &str = "/containerd.services.containers.v1.Containers/Get";
const NAMESPACES: &str = "/containerd.services.namespaces.v1.Namespaces/List";
const TASKS: &str = "/containerd.services.tasks.v1.Tasks/List";
const EVENTS: &str = "/containerd.services.events.v1.Events/Subscribe";
const VERSION: &str = "/containerd.services.version.v1.Version/Version";

/// The header that chooses the namespace of a call.
const NAMESPACE: &str = "containerd-namespace";

/// The namespace of dockerd, which has the names of these containers and whose cgroups have the ids of the containers.
const DOCKER: &str = "moby";

/// Topics of events after which a container has another cgroup or name.
const TASK_STARTED: &str = "/tasks/start";
const CONTAINER_UPDATED: &str = "/containers/update";

/// How long containerd may take to begin a subscription.
const SUBSCRIBED_WITHIN: Duration = Duration::from_millis(100);

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
    /// show it.
    pub(super) async fn names(&self, namespace: &str, id: &str) -> Result<Names, SourceError> {
        Ok(to_names(id, &self.get(namespace, id).await?))
    }

    async fn get(&self, namespace: &str, id: &str) -> Result<Container, SourceError> {
        let request = within(namespace, GetContainerRequest { id: id.to_owned() })?;
        let answer: GetContainerResponse = self.gate.call(self.socket.unary(GET, request)).await?;
        answer.container.ok_or(SourceError::NotFound)
    }

    /// Reports the tasks that there are and those that start, until the stream of events ends.
    pub(super) async fn follow(
        &self,
        reports: &Reports,
        responds: impl Fn(),
    ) -> Result<(), SourceError> {
        let filters = [TASK_STARTED, CONTAINER_UPDATED];
        let filters = filters.map(|topic| format!("topic==\"{topic}\"")).to_vec();
        let request = Request::new(SubscribeRequest { filters });
        let events = self.socket.stream::<_, Envelope>(EVENTS, request);
        let list = async {
            // The list comes after the subscription, so that no task falls between. containerd answers that with the first event, so
            // there is no better sign.
            tokio::time::sleep(SUBSCRIBED_WITHIN).await;
            let told = self.list().await?;
            responds();
            reports.send(told).await.ok();
            Ok::<(), SourceError>(())
        };
        let (mut events, ()) = tokio::try_join!(events, list)?;
        while let Some(envelope) = events.next().await? {
            let told = match envelope.topic.as_str() {
                _ if envelope.namespace == DOCKER => None,
                TASK_STARTED => {
                    let value = envelope.event.unwrap_or_default().value;
                    match TaskStart::decode(&*value) {
                        Ok(task) => {
                            self.task(&envelope.namespace, &task.container_id, task.pid)
                                .await
                        }
                        Err(_) => None,
                    }
                }
                _ => {
                    // The id is the first field of this event too.
                    let value = envelope.event.unwrap_or_default().value;
                    match GetContainerRequest::decode(&*value) {
                        Ok(updated) => self.container(&envelope.namespace, &updated.id).await,
                        Err(_) => None,
                    }
                }
            };
            if let Some(told) = told {
                reports.send(vec![told]).await.ok();
            }
        }
        Ok(())
    }

    /// All tasks whose cgroups do not show what they are.
    async fn list(&self) -> Result<Vec<Told>, SourceError> {
        let request = Request::new(ListNamespacesRequest::default());
        let namespaces: ListNamespacesResponse = self
            .gate
            .call(self.socket.unary(NAMESPACES, request))
            .await?;
        let mut told = Vec::new();
        for namespace in namespaces.namespaces {
            if namespace.name == DOCKER {
                continue;
            }
            let request = within(&namespace.name, ListTasksRequest::default())?;
            let tasks: ListTasksResponse =
                self.gate.call(self.socket.unary(TASKS, request)).await?;
            for task in tasks.tasks {
                let id = if task.container_id.is_empty() {
                    &task.id
                } else {
                    &task.container_id
                };
                told.extend(self.task(&namespace.name, id, task.pid).await);
            }
        }
        Ok(told)
    }

    /// A task, unless the path of its cgroup shows that it is this container. One that ended meanwhile is left out.
    async fn task(&self, namespace: &str, id: &str, pid: u32) -> Option<Told> {
        let path = cgroup::of_process(pid).await?;
        if parse(&path).id.as_deref() == Some(id) {
            return None;
        }
        let container = self.get(namespace, id).await.ok()?;
        let wanted = cgroup::wanted(&container.spec.as_ref()?.value)?;
        Some(Told {
            id: id.to_owned(),
            names: to_names(id, &container),
            path: cgroup::own(&path, &wanted),
        })
    }

    /// A container whose labels changed.
    async fn container(&self, namespace: &str, id: &str) -> Option<Told> {
        let container = self.get(namespace, id).await.ok()?;
        Some(Told {
            id: id.to_owned(),
            names: to_names(id, &container),
            path: None,
        })
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

/// A request in a namespace.
fn within<T>(namespace: &str, message: T) -> Result<Request<T>, SourceError> {
    let mut request = Request::new(message);
    let namespace = MetadataValue::try_from(namespace).map_err(|_| SourceError::NotFound)?;
    request.metadata_mut().insert(NAMESPACE, namespace);
    Ok(request)
}

fn to_names(id: &str, container: &Container) -> Names {
    let name = container
        .labels
        .get("nerdctl/name")
        .map_or_else(|| readable_id(id), String::as_str);
    labels::kubernetes(&container.labels, name)
        .unwrap_or_else(|| Names::plain(Runtime::Containerd, name))
}
