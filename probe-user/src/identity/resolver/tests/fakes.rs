//! Runtimes that say what a test wants.

use std::{collections::HashMap, convert::Infallible, fmt::Write as _, path::PathBuf, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Request, Response, body::Incoming, header::HeaderValue, service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use super::{
    super::{containerd, cri::messages},
    ID, SANDBOX,
};

/// How a fake dockerd answers.
pub(super) enum Reply {
    Json(String),
    Status(u16),
    /// Lines of a stream that stays open.
    Events(Vec<String>),
    /// Takes the request and never answers.
    Hang,
}

impl Reply {
    pub(super) fn json(text: &str) -> Self {
        Self::Json(text.to_owned())
    }
}

/// A server of HTTP/1 that answers by path. It lives as long as the test.
pub(super) fn http(
    directory: &TempDir,
    reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> PathBuf {
    let path = directory.path().join("http.sock");
    drop(std::fs::remove_file(&path));
    let listener = UnixListener::bind(&path).unwrap();
    let reply = Arc::new(reply);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let reply = Arc::clone(&reply);
            tokio::spawn(async move { answer(stream, &*reply).await });
        }
    });
    path
}

async fn answer(
    mut stream: UnixStream,
    reply: &(dyn Fn(&str) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    match reply(path) {
        Reply::Json(body) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Reply::Status(status) => {
            stream
                .write_all(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").as_bytes())
                .await
        }
        Reply::Events(lines) => {
            let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
            for line in lines {
                // One event in two chunks, as a busy daemon may send it.
                let (first, second) = line.split_at(line.len() / 2);
                for part in [first, second, "\n"] {
                    write!(text, "{:x}\r\n{part}\r\n", part.len()).unwrap();
                }
            }
            stream.write_all(text.as_bytes()).await?;
            std::future::pending().await
        }
        Reply::Hang => std::future::pending().await,
    }
}

/// A gRPC server with one pod (`shop/cart-0`) of the container `web` (labels as the kubelet sets
/// them are missing) and, in containerd's namespace `default`, the containers `web` and one of
/// nerdctl.
pub(super) fn cri_and_containerd(directory: &TempDir, version: &'static str) -> PathBuf {
    let path = directory.path().join("grpc.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| call(request, version));
            tokio::spawn(
                hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    path
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn call(request: Request<Incoming>, version: &str) -> Result<Response<Body>, Infallible> {
    let namespace = request.headers().get("containerd-namespace").cloned();
    let path = request.uri().path().to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    // A message comes after a flag and its length.
    let message = body.get(5..).unwrap_or_default();
    let method = path.replace(&format!("/runtime.{version}."), "/");
    let answer = match method.as_str() {
        "/RuntimeService/Version" => Ok(version_response()),
        "/RuntimeService/ListContainers" => Ok(list_containers(message)),
        "/RuntimeService/ListPodSandbox" => Ok(list_sandboxes(message)),
        "/containerd.services.containers.v1.Containers/Get" => get(message, namespace).ok_or("5"),
        _ => Err("12"),
    };
    let (body, status) = match answer {
        Ok(message) => {
            let mut frame = BytesMut::new();
            frame.put_u8(0);
            frame.put_u32(u32::try_from(message.len()).unwrap());
            frame.put_slice(&message);
            (frame.freeze(), "0")
        }
        Err(code) => (Bytes::new(), code),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body = Full::new(body)
        .with_trailers(async move { Some(Ok(trailers)) })
        .boxed();
    Ok(Response::builder()
        .header("content-type", "application/grpc")
        .body(body)
        .unwrap())
}

fn version_response() -> Vec<u8> {
    let (runtime_name, runtime_version) = ("fake".to_owned(), "1.0".to_owned());
    messages::VersionResponse {
        runtime_name,
        runtime_version,
    }
    .encode_to_vec()
}

/// Takes a prefix for an id, as the real ones do.
fn list_containers(message: &[u8]) -> Vec<u8> {
    let filter = messages::ListContainersRequest::decode(message)
        .unwrap()
        .filter
        .unwrap();
    let container = messages::Container {
        id: ID.to_owned(),
        pod_sandbox_id: SANDBOX.to_owned(),
        metadata: Some(messages::ContainerMetadata {
            name: "web".to_owned(),
        }),
        labels: HashMap::new(),
    };
    let containers = Vec::from_iter(ID.starts_with(&filter.id).then_some(container));
    messages::ListContainersResponse { containers }.encode_to_vec()
}

fn list_sandboxes(message: &[u8]) -> Vec<u8> {
    let filter = messages::ListPodSandboxRequest::decode(message)
        .unwrap()
        .filter
        .unwrap();
    let metadata = messages::PodSandboxMetadata {
        name: "cart-0".to_owned(),
        uid: "u1".to_owned(),
        namespace: "shop".to_owned(),
    };
    let sandbox = messages::PodSandbox {
        id: SANDBOX.to_owned(),
        metadata: Some(metadata),
    };
    let items = Vec::from_iter(SANDBOX.starts_with(&filter.id).then_some(sandbox));
    messages::ListPodSandboxResponse { items }.encode_to_vec()
}

fn get(message: &[u8], namespace: Option<HeaderValue>) -> Option<Vec<u8>> {
    if namespace? != "default" {
        return None;
    }
    let id = containerd::messages::GetContainerRequest::decode(message)
        .unwrap()
        .id;
    let labels = match id.as_str() {
        "web" => HashMap::new(),
        ID => HashMap::from([("nerdctl/name".to_owned(), "from-nerdctl".to_owned())]),
        _ => return None,
    };
    let container = Some(containerd::messages::Container {
        id,
        labels,
        spec: None,
    });
    Some(containerd::messages::GetContainerResponse { container }.encode_to_vec())
}
