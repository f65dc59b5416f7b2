//! Pods by the container runtime interface, as kubelet makes them.

use std::{collections::HashMap, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::{
    Request,
    client::Grpc,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{Container, containerd::Containerd, remove_everywhere, remove_parents};
use crate::image;

mod messages;
use messages as m;

/// Group of the network namespace that pods of the host network share.
const NODE: i32 = 2;

/// A client of one runtime, and the pods that it made. Dropping it removes them.
#[derive(Debug)]
pub struct Cri<'a> {
    runtime: Runtime,
    channel: Channel,
    pods: std::cell::RefCell<Vec<Pod>>,
    // Outlives the pods.
    _containerd: &'a Containerd,
}

#[derive(Debug)]
struct Pod {
    sandbox: String,
    cgroup: String,
}

impl<'a> Cri<'a> {
    /// Connects to containerd.
    ///
    /// # Errors
    ///
    /// If its socket does not answer.
    pub fn connect(containerd: &'a Containerd) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start tokio")?;
        let channel = runtime.block_on(connect(&containerd.socket()))?;
        Ok(Self {
            runtime,
            channel,
            pods: Vec::new().into(),
            _containerd: containerd,
        })
    }

    /// Runs a pod with one container, whose workload holds before and after its work, and waits
    /// until it is ready.
    ///
    /// The cgroups are those of kubelet with the cgroupfs driver.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn start_workload(
        &self,
        namespace: &str,
        pod: &str,
        uid: &str,
        name: &str,
        args: &str,
    ) -> Result<Container> {
        let cgroup = format!("/kubepods/besteffort/pod{uid}");
        let config = sandbox(namespace, pod, uid, &cgroup);
        let request = m::RunPodSandboxRequest {
            config: Some(config.clone()),
        };
        let sandbox: m::RunPodSandboxResponse = self.call("RunPodSandbox", request)?;
        let sandbox = sandbox.pod_sandbox_id;
        self.pods.borrow_mut().push(Pod {
            sandbox: sandbox.clone(),
            cgroup,
        });

        let request = m::CreateContainerRequest {
            pod_sandbox_id: sandbox,
            config: Some(container(&config, name, args)),
            sandbox_config: Some(config),
        };
        let created: m::CreateContainerResponse = self.call("CreateContainer", request)?;
        let id = created.container_id;
        let _: m::Empty = self.call("StartContainer", m::Id { id: id.clone() })?;
        let status: m::ContainerStatusResponse = self.call(
            "ContainerStatus",
            m::StatusRequest {
                id: id.clone(),
                verbose: true,
            },
        )?;
        let info = status
            .info
            .get("info")
            .context("the status has no details")?;
        let info: Value = serde_json::from_str(info).context("read the details")?;
        Container::ready(&id, name, &info["pid"].to_string())
    }

    fn call<Q, A>(&self, method: &'static str, message: Q) -> Result<A>
    where
        Q: prost::Message + Default + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let path = format!("/runtime.v1.RuntimeService/{method}");
        let mut grpc = Grpc::new(self.channel.clone());
        self.runtime.block_on(async {
            grpc.ready().await.context("reach the runtime")?;
            let mut request = Request::new(message);
            request.set_timeout(Duration::from_secs(60));
            let path = path.parse().context("make a path")?;
            let answer = grpc
                .unary(request, path, ProstCodec::<Q, A>::default())
                .await;
            Ok(answer.with_context(|| method.to_owned())?.into_inner())
        })
    }
}

impl Drop for Cri<'_> {
    fn drop(&mut self) {
        for pod in self.pods.take() {
            for method in ["StopPodSandbox", "RemovePodSandbox"] {
                if let Err(error) = self.call::<_, m::Empty>(
                    method,
                    m::Id {
                        id: pod.sandbox.clone(),
                    },
                ) {
                    eprintln!("{error:#}");
                }
            }
            remove_everywhere(&pod.cgroup);
        }
        remove_parents(&["kubepods/besteffort", "kubepods"]);
    }
}

async fn connect(socket: &Path) -> Result<Channel> {
    let endpoint =
        Endpoint::try_from(format!("unix://{}", socket.display())).context("name the socket")?;
    endpoint
        .connect()
        .await
        .with_context(|| format!("connect to {}", socket.display()))
}

fn sandbox(namespace: &str, pod: &str, uid: &str, cgroup: &str) -> m::PodSandboxConfig {
    let labels = [
        ("pod.name", pod),
        ("pod.namespace", namespace),
        ("pod.uid", uid),
    ];
    let namespaces = m::NamespaceOption { network: NODE };
    m::PodSandboxConfig {
        metadata: Some(m::PodSandboxMetadata {
            name: pod.into(),
            uid: uid.into(),
            namespace: namespace.into(),
            attempt: 0,
        }),
        labels: labels
            .iter()
            .map(|(key, value)| (format!("io.kubernetes.{key}"), (*value).into()))
            .collect(),
        linux: Some(m::LinuxPodSandboxConfig {
            cgroup_parent: cgroup.into(),
            security_context: Some(m::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces),
            }),
        }),
    }
}

fn container(sandbox: &m::PodSandboxConfig, name: &str, args: &str) -> m::ContainerConfig {
    let mut labels: HashMap<_, _> = sandbox.labels.clone();
    labels.insert("io.kubernetes.container.name".into(), name.into());
    m::ContainerConfig {
        metadata: Some(m::ContainerMetadata {
            name: name.into(),
            attempt: 0,
        }),
        image: Some(m::ImageSpec {
            image: image::NAME.into(),
        }),
        command: vec![image::WORKLOAD.into()],
        args: args
            .split(' ')
            .chain(["--go", "--hold"])
            .map(Into::into)
            .collect(),
        labels,
    }
}
