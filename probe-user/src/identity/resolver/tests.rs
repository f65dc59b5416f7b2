//! The resolver against runtimes that answer, lie, hang, and are not there.

mod fakes;

use std::{path::PathBuf, sync::Arc};

use probe_common::id::CgroupId;

use super::*;
use crate::{
    identity::{Limits, Names, Reach, RuntimeState},
    model::{Container, Naming, NoName, Runtime},
};
use fakes::{Reply, cri_and_containerd, http};

const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
const SANDBOX: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// Longer than any test takes, so that what waits for it is seen to hang.
const LONG: Duration = Duration::from_secs(60);

fn nowhere() -> Config {
    let none = Vec::new;
    let (docker, podman, podman_storage, containerd, cri) =
        (none(), none(), none(), none(), none());
    Config {
        docker,
        podman,
        podman_storage,
        containerd,
        cri,
        timeout: LONG,
    }
}

/// Runs the resolver for one cgroup until it is settled.
async fn resolve(config: Config, path: &str, deadline: Duration) -> Arc<Container> {
    let identities = Arc::new(Identities::new(Limits {
        deadline,
        ..Limits::default()
    }));
    let running = tokio::spawn(run(
        Arc::clone(&identities),
        config,
        None,
        std::future::pending(),
    ));
    identities.appeared(CgroupId(1), path, Instant::now());
    assert!(
        resolve_now(&identities, Instant::now() + LONG / 2).await,
        "{path} is still pending"
    );
    running.abort();
    identities.lookup(CgroupId(1)).unwrap()
}

#[tokio::test]
async fn docker_is_asked_for_the_name() {
    let directory = tempfile::tempdir().unwrap();
    let docker = http(&directory, |path| match path {
        _ if path.ends_with(&format!("{ID}/json")) => {
            Reply::json(r#"{"Name":"/web","Config":{"Labels":null}}"#)
        }
        _ => Reply::Status(404),
    });
    let config = Config {
        docker: vec![docker],
        ..nowhere()
    };
    let container = resolve(config, &format!("/docker/{ID}"), LONG).await;
    assert_eq!(
        (container.name.as_str(), &container.naming),
        ("web", &Naming::Named)
    );
    assert_eq!(container.display_name(), "web");
}

#[tokio::test]
async fn a_container_that_is_gone_before_it_can_be_asked_for_is_known_from_its_event() {
    let directory = tempfile::tempdir().unwrap();
    let docker = http(&directory, |path| match path {
        _ if path.starts_with("/events") => Reply::Events(vec![format!(
            r#"{{"Type":"container","Action":"create","Actor":{{"ID":"{ID}","Attributes":{{"name":"short"}}}}}}"#
        )]),
        _ => Reply::Status(404),
    });
    let config = Config {
        docker: vec![docker],
        ..nowhere()
    };
    let container = resolve(config, &format!("/docker/{ID}"), LONG).await;
    assert_eq!(container.name, "short");
}

#[tokio::test]
async fn a_hanging_runtime_does_not_delay_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let hanging = http(&directory, |_| Reply::Hang);
    let storage = directory.path().join("storage");
    let lists = storage.join("overlay-containers");
    std::fs::create_dir_all(&lists).unwrap();
    std::fs::write(
        lists.join("containers.json"),
        format!(r#"[{{"id":"{ID}","names":["db"]}}]"#),
    )
    .unwrap();
    let config = Config {
        docker: vec![hanging.clone()],
        cri: vec![hanging.clone()],
        containerd: vec![hanging],
        podman_storage: vec![storage],
        ..nowhere()
    };
    let container = resolve(config, &format!("/somewhere/{ID}"), LONG).await;
    assert_eq!(
        (container.runtime, container.name.as_str()),
        (Runtime::Podman, "db")
    );
}

#[tokio::test]
async fn garbage_ends_in_a_short_id_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let docker = http(&directory, |_| Reply::json("]["));
    let config = Config {
        docker: vec![docker],
        ..nowhere()
    };
    let container = resolve(config, &format!("/docker/{ID}"), Duration::from_millis(300)).await;
    assert_eq!(container.name, "0a1b2c3d4e5f");
    assert!(matches!(container.naming, Naming::Unnamed(_)));
}

#[tokio::test]
async fn without_a_runtime_the_search_ends_at_once() {
    let config = Config {
        docker: vec!["/nonexistent/docker.sock".into()],
        ..nowhere()
    };
    let container = resolve(config, &format!("/docker/{ID}"), LONG).await;
    assert_eq!(container.naming, Naming::Unnamed(NoName::NotRunning));
    let container = resolve(nowhere(), &format!("/docker/{ID}"), LONG).await;
    assert_eq!(container.naming, Naming::Unnamed(NoName::NotConfigured));
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_runtime_that_starts_late_names_the_containers_that_were_there_before() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("http.sock");
    let identities = Arc::new(Identities::new(Limits {
        deadline: LONG,
        ..Limits::default()
    }));
    let config = Config {
        docker: vec![socket.clone()],
        ..nowhere()
    };
    let running = tokio::spawn(run(
        Arc::clone(&identities),
        config,
        None,
        std::future::pending(),
    ));
    identities.appeared(CgroupId(1), &format!("/docker/{SANDBOX}"), Instant::now());
    assert!(resolve_now(&identities, Instant::now() + LONG).await);
    assert_eq!(
        identities.unnamed()[&(Runtime::Docker, NoName::NotRunning)],
        1
    );
    let absent = || {
        vec![RuntimeState {
            runtime: Runtime::Docker,
            path: socket.clone(),
            reach: Reach::Absent,
        }]
    };
    until("the runtime is reported as absent", || {
        identities.runtimes() == absent()
    })
    .await;
    let bound = http(&directory, |_| Reply::json(r#"{"Name":"/web"}"#));
    assert_eq!(bound, socket);
    identities.appeared(CgroupId(2), &format!("/docker/{ID}"), Instant::now());
    let name = |id| identities.lookup(CgroupId(id)).unwrap().name.clone();
    until("both have names", || name(1) == "web" && name(2) == "web").await;
    assert!(identities.unnamed().is_empty());
    until("the runtime is reported as there", || {
        identities.runtimes()[0].reach == Reach::Responds
    })
    .await;
    running.abort();
}

#[tokio::test]
async fn a_rename_is_followed_by_dockers_events() {
    let directory = tempfile::tempdir().unwrap();
    let docker = http(&directory, |path| match path {
        _ if path.starts_with("/events") => Reply::Events(vec![format!(
            r#"{{"Type":"container","Action":"rename","Actor":{{"ID":"{ID}","Attributes":{{"name":"blue","oldName":"/web"}}}}}}"#
        )]),
        _ if path.starts_with("/containers/json") => {
            Reply::json(&format!(r#"[{{"Id":"{ID}","Names":["/web"]}}]"#))
        }
        _ => Reply::json(r#"{"Name":"/web"}"#),
    });
    let identities = Arc::new(Identities::new(Limits::default()));
    identities.appeared(CgroupId(1), &format!("/docker/{ID}"), Instant::now());
    let config = Config {
        docker: vec![docker],
        ..nowhere()
    };
    let running = tokio::spawn(run(
        Arc::clone(&identities),
        config,
        None,
        std::future::pending(),
    ));
    until("the new name is there", || {
        identities.lookup(CgroupId(1)).unwrap().name == "blue"
    })
    .await;
    running.abort();
}

#[tokio::test]
async fn a_rename_in_podmans_storage_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let lists = directory.path().join("overlay-containers");
    std::fs::create_dir_all(&lists).unwrap();
    let write = |name: &str| {
        let list = format!(r#"[{{"id":"{ID}","names":["{name}"]}}]"#);
        std::fs::write(lists.join("next"), list).unwrap();
        std::fs::rename(lists.join("next"), lists.join("containers.json")).unwrap();
    };
    write("web");
    let identities = Arc::new(Identities::new(Limits::default()));
    identities.appeared(
        CgroupId(1),
        &format!("/libpod_parent/libpod-{ID}"),
        Instant::now(),
    );
    let config = Config {
        podman_storage: vec![directory.path().to_owned()],
        ..nowhere()
    };
    let running = tokio::spawn(run(
        Arc::clone(&identities),
        config,
        None,
        std::future::pending(),
    ));
    let name = || identities.lookup(CgroupId(1)).unwrap().name.clone();
    until("the first name is there", || name() == "web").await;
    write("blue");
    until("the new name is there", || name() == "blue").await;
    running.abort();
}

fn pod_path(id: &str) -> String {
    format!("/kubepods/besteffort/podu1/{id}")
}

#[tokio::test]
async fn a_pods_containers_and_its_sandbox_are_named_by_either_version_of_the_interface() {
    for version in ["v1", "v1alpha2"] {
        let directory = tempfile::tempdir().unwrap();
        let cri = cri_and_containerd(&directory, version);
        let config = Config {
            cri: vec![cri],
            ..nowhere()
        };
        let container = resolve(config.clone(), &pod_path(ID), LONG).await;
        assert_eq!(container.display_name(), "shop/cart-0/web", "{version}");
        assert_eq!(container.pod_uid, "u1");
        let sandbox = resolve(config, &pod_path(SANDBOX), LONG).await;
        assert_eq!(
            (sandbox.pod.as_str(), sandbox.name.as_str()),
            ("cart-0", Names::PAUSE)
        );
    }
}

#[tokio::test]
async fn an_id_that_no_runtime_knows_is_searched_until_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let cri = cri_and_containerd(&directory, "v1");
    let config = Config {
        cri: vec![cri],
        ..nowhere()
    };
    let unknown = ID.replace('0', "f");
    let container = resolve(config, &pod_path(&unknown), Duration::from_millis(300)).await;
    assert_eq!(container.naming, Naming::Unnamed(NoName::NotFound));
    assert_eq!(container.pod_uid, "u1");
}

#[tokio::test]
async fn containerd_confirms_its_containers_and_denies_other_directories() {
    let directory = tempfile::tempdir().unwrap();
    let socket = cri_and_containerd(&directory, "v1");
    let config = Config {
        containerd: vec![socket],
        ..nowhere()
    };
    let container = resolve(config.clone(), "/default/web", LONG).await;
    assert_eq!(
        (container.runtime, container.name.as_str()),
        (Runtime::Containerd, "web")
    );
    let named = resolve(config.clone(), &format!("/default/{ID}"), LONG).await;
    assert_eq!(
        (named.runtime, named.name.as_str()),
        (Runtime::Containerd, "from-nerdctl")
    );
    for path in ["/default/other", "/elsewhere/web"] {
        let other = resolve(config.clone(), path, LONG).await;
        assert_eq!((other.runtime, other.name.as_str()), (Runtime::Other, path));
        assert_eq!(other.naming, Naming::Named);
    }
}

#[tokio::test]
async fn sockets_are_reported_with_what_is_wrong_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let docker = http(&directory, |path| match path {
        "/_ping" => Reply::json("OK"),
        _ => Reply::Hang,
    });
    let cri = cri_and_containerd(&directory, "v1");
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let absent = PathBuf::from("/nonexistent/containerd.sock");
    let config = Config {
        docker: vec![docker.clone(), docker, file],
        cri: vec![cri],
        containerd: vec![absent.clone()],
        ..nowhere()
    };
    let found = probe_sockets(&config).await;
    let states: Vec<_> = found
        .iter()
        .map(|socket| (socket.runtime, &socket.state))
        .collect();
    assert_eq!(states.len(), 4, "the same socket is tried once: {states:?}");
    assert_eq!(
        states[0],
        (
            Runtime::Docker,
            &SocketState::Reachable("API 1.41".to_owned())
        )
    );
    assert!(matches!(
        states[1],
        (Runtime::Docker, SocketState::Unreachable(_))
    ));
    assert_eq!(
        (found[2].runtime, &found[2].path),
        (Runtime::Containerd, &absent)
    );
    assert_eq!(states[2].1, &SocketState::Absent);
    assert_eq!(
        states[3],
        (
            Runtime::Kubernetes,
            &SocketState::Reachable("fake 1.0".to_owned())
        )
    );
    let config = Config {
        cri: vec![http(&directory, |_| Reply::Hang)],
        timeout: Duration::from_millis(50),
        ..nowhere()
    };
    let hanging = probe_sockets(&config).await;
    assert_eq!(
        hanging[0].state,
        SocketState::Unreachable("did not answer in time".to_owned())
    );
}
