//! dockerd's API, which podman's service speaks too.
//!
//! A container that lives for 50 ms is gone before it can be asked for, so the stream of events is
//! followed: `create` carries the name and comes before the cgroup.

mod json;
mod known;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::BodyExt;

use super::{error::SourceError, gate::Gate, http, labels, source::Reports};
use crate::{
    identity::{Names, Told},
    model::Runtime,
};
use json::{Actor, Event, Inspect, Listed, parse};
use known::Known;

/// Longest answer about one container.
const MAX_INSPECT: usize = 1 << 20;
/// Longest list of all containers.
const MAX_LIST: usize = 64 << 20;
/// Longest line of the stream of events.
const MAX_EVENT: usize = 1 << 20;
/// Events of containers that carry a name: `{"type":["container"],"event":["create","rename"]}`.
const EVENTS: &str = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%2C\
                      %22rename%22%5D%7D";
/// Listing all containers of a large host takes longer than a usual call.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

/// One socket.
#[derive(Debug)]
pub(super) struct Docker {
    runtime: Runtime,
    socket: PathBuf,
    gate: Gate,
    timeout: Duration,
    known: Mutex<Known>,
}

impl Docker {
    pub(super) fn new(runtime: Runtime, socket: &Path, timeout: Duration) -> Self {
        let known = Mutex::default();
        Self {
            runtime,
            socket: socket.to_owned(),
            gate: Gate::new(timeout),
            timeout,
            known,
        }
    }

    pub(super) fn serves(&self) -> Runtime {
        self.runtime
    }

    /// Names of a container, from what the events told or by asking.
    pub(super) async fn names(&self, id: &str) -> Result<Names, SourceError> {
        if let Some(names) = self.known().get(id) {
            return Ok(names);
        }
        let uri = format!("/containers/{id}/json");
        let answer = self.gate.call(async {
            let response = http::get(&self.socket, &uri).await?;
            http::read(response, MAX_INSPECT).await
        });
        let body = match answer.await {
            Ok(body) => body,
            // It may have been removed while its event was on its way.
            Err(error) => return self.known().get(id).ok_or(error),
        };
        let inspect: Inspect = parse(&body)?;
        Ok(self.to_names(&inspect.name, &inspect.config.labels.unwrap_or_default()))
    }

    /// Reads events until the stream ends.
    pub(super) async fn follow(
        &self,
        reports: &Reports,
        responds: impl Fn(),
    ) -> Result<(), SourceError> {
        let connect = tokio::time::timeout(self.timeout, http::get(&self.socket, EVENTS));
        let response = connect.await.unwrap_or(Err(SourceError::Timeout))?;
        http::check(&response)?;
        // The list comes after the stream is open, so that no container falls between.
        responds();
        self.list(reports).await;
        let mut body = response.into_body();
        let mut line = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| SourceError::Protocol(error.to_string()))?;
            for piece in frame
                .data_ref()
                .into_iter()
                .flat_map(|d| d.split_inclusive(|b| *b == b'\n'))
            {
                line.extend_from_slice(piece);
                if line.len() > MAX_EVENT {
                    return Err(SourceError::Protocol("an event is too long".to_owned()));
                }
                if piece.ends_with(b"\n") {
                    if let Some(told) = self.take_event(&line) {
                        reports.send(vec![told]).await.ok();
                    }
                    line.clear();
                }
            }
        }
        Ok(())
    }

    /// Learns the names of all containers. Without the list they are asked for one by one.
    async fn list(&self, reports: &Reports) {
        let list = async {
            let response = http::get(&self.socket, "/containers/json?all=1").await?;
            parse::<Vec<Listed>>(&http::read(response, MAX_LIST).await?)
        };
        let limited = tokio::time::timeout(LIST_TIMEOUT, list);
        let Ok(list) = limited.await.unwrap_or(Err(SourceError::Timeout)) else {
            return;
        };
        let mut told = Vec::new();
        for Listed { id, names, labels } in list {
            // A container that others link to has several names; its own has no second slash.
            let own = names
                .iter()
                .find(|name| name.matches('/').count() == 1)
                .or(names.first());
            if let Some(own) = own {
                let names = self.to_names(own, &labels.unwrap_or_default());
                self.known().insert(id.clone(), names.clone());
                told.push(Told {
                    id,
                    names,
                    path: None,
                });
            }
        }
        // The receiver ends with the resolver, which ends this as well.
        reports.send(told).await.ok();
    }

    /// An event that is not understood is left out: the container is asked for when it is needed.
    fn take_event(&self, line: &[u8]) -> Option<Told> {
        let Event {
            actor: Actor { id, attributes },
        } = parse(line).ok()?;
        let names = self.to_names(attributes.get("name")?, &attributes);
        self.known().insert(id.clone(), names.clone());
        Some(Told {
            id,
            names,
            path: None,
        })
    }

    fn to_names(&self, name: &str, labels: &HashMap<String, String>) -> Names {
        let name = name.trim_start_matches('/');
        labels::kubernetes(labels, name).unwrap_or_else(|| Names::plain(self.runtime, name))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version of the interface, to see whether the service answers. It is in the head of every
/// answer, while asking for the version of everything takes podman's service seconds.
pub(super) async fn version(socket: &Path) -> Result<String, SourceError> {
    let response = http::get(socket, "/_ping").await?;
    http::check(&response)?;
    let version = response
        .headers()
        .get("api-version")
        .and_then(|version| version.to_str().ok());
    Ok(version.map_or_else(
        || "unknown version".to_owned(),
        |version| format!("API {version}"),
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn docker() -> Docker {
        Docker::new(
            Runtime::Docker,
            Path::new("/nonexistent"),
            Duration::from_secs(1),
        )
    }

    #[test]
    fn an_event_names_a_container_and_the_pod_it_is_in() {
        let docker = docker();
        docker.take_event(br#"{"Type":"container","Action":"create","Actor":{"ID":"ab","Attributes":{"image":"i","name":"web"}},"time":1}"#);
        assert_eq!(
            docker.known().get("ab"),
            Some(Names::plain(Runtime::Docker, "web"))
        );
        docker.take_event(
            br#"{"Actor":{"ID":"cd","Attributes":{"name":"k8s_POD_x","io.kubernetes.container.name":"POD",
            "io.kubernetes.pod.name":"cart-0","io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u"}}}"#,
        );
        let names = docker.known().get("cd").unwrap();
        assert_eq!(names.runtime, Runtime::Kubernetes);
        assert_eq!(
            [names.namespace, names.pod, names.name],
            ["shop", "cart-0", Names::PAUSE]
        );
    }

    proptest! {
        #[test]
        fn no_event_makes_the_reader_panic(cut in 0usize..90, line in proptest::collection::vec(any::<u8>(), 0..60)) {
            let docker = docker();
            docker.take_event(&line);
            let whole = br#"{"Type":"container","Actor":{"ID":"ab","Attributes":{"image":"i","name":"web"}}}"#;
            docker.take_event(&whole[..cut.min(whole.len())]);
        }
    }
}
