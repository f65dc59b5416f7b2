//! Answers requests.

use std::{convert::Infallible, future::poll_fn, pin::Pin, sync::Arc};

use hyper::{
    Method, Response,
    body::{Body as _, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName},
    http::HeaderValue,
};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::{
    answer::{Answer, Chunk, Content},
    discovery, list,
    query::{Options, is_watch},
    request::Request,
    route::{Route, Target},
    select::Scope,
    show,
    state::{Shared, State},
    status::Status,
    store::Key,
    watch,
    write::{self, Write},
};

/// What is sent, before it is bytes.
enum Reply {
    Json(u16, Value),
    Text(&'static str),
    Watch(mpsc::Receiver<Chunk>),
}

/// Headers that matter, as text.
struct Headers {
    authorization: String,
    content_type: String,
}

/// Answers one request.
pub(crate) async fn call(
    shared: Arc<Shared>,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let header = |name: HeaderName| {
        let value = request.headers().get(name);
        let text = value.and_then(|value| value.to_str().ok());
        text.unwrap_or_default().to_owned()
    };
    let headers = Headers {
        authorization: header(AUTHORIZATION),
        content_type: header(CONTENT_TYPE),
    };
    let body = read(request.body_mut()).await;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let request = Request {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        watch: is_watch(&query),
        query,
        body: serde_json::from_slice(&body).ok(),
    };
    // Only writes change what watches show; the others must not wake them.
    let reply = if request.method == Method::GET.as_str() {
        answer(&shared, &mut shared.lock(), request, &headers)
    } else {
        shared.change(|state| answer(&shared, state, request, &headers))
    };
    let reply = reply.unwrap_or_else(|status| Reply::Json(status.code, status.body()));
    Ok(response(shared, reply))
}

/// As much of a body as came.
async fn read(body: &mut Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        if let Some(data) = frame.data_ref() {
            bytes.extend_from_slice(data);
        }
    }
    bytes
}

fn answer(
    shared: &Arc<Shared>,
    state: &mut State,
    request: Request,
    headers: &Headers,
) -> Result<Reply, Status> {
    state.requests.push(request.clone());
    if let Some(token) = &state.token
        && headers.authorization.strip_prefix("Bearer ") != Some(token)
    {
        return Err(Status::unauthorized());
    }
    let route = Route::new(&request.path);
    if let Route::Objects(target) = route {
        if !state.is_on(&target.resource()) {
            return Err(Status::no_such_path());
        }
        if request.method == Method::GET.as_str() {
            return read_objects(shared, state, target, &request);
        }
        return write_object(state, &target, request, headers);
    }
    if request.method != Method::GET.as_str() {
        return Err(Status::method_not_allowed());
    }
    let body = match route {
        Route::Version => discovery::version(),
        Route::Health => return Ok(Reply::Text("ok")),
        Route::Core => discovery::core(),
        Route::Groups => discovery::groups(state),
        Route::Group(name) => discovery::group(state, &name)?,
        Route::Resources(version) => discovery::resources(state, &version)?,
        Route::Objects(_) | Route::Nothing => return Err(Status::no_such_path()),
    };
    Ok(Reply::Json(200, body))
}

fn read_objects(
    shared: &Arc<Shared>,
    state: &mut State,
    target: Target,
    request: &Request,
) -> Result<Reply, Status> {
    let verb = match (&target.name, request.watch) {
        (Some(_), _) => "get",
        (None, true) => "watch",
        (None, false) => "list",
    };
    refuse(state, &target, verb)?;
    if let Some(name) = &target.name {
        let key = Key {
            kind: target.kind.index(),
            namespace: target.namespace.clone().unwrap_or_default(),
            name: name.clone(),
        };
        let found = state.store.get(&key);
        let stored = found.ok_or_else(|| Status::no_such_object(&target, name))?;
        return Ok(Reply::Json(200, show::object(&target, stored)));
    }
    let mut options = Options::new(target.kind, &request.query)?;
    let scope = Scope {
        target,
        fields: std::mem::take(&mut options.fields),
    };
    if request.watch {
        Ok(Reply::Watch(watch::start(shared, state, scope, &options)))
    } else {
        list::list(&state.store, &scope, &options).map(|list| Reply::Json(200, list))
    }
}

fn write_object(
    state: &mut State,
    target: &Target,
    request: Request,
    headers: &Headers,
) -> Result<Reply, Status> {
    if request.method == Method::DELETE.as_str() {
        return Err(Status::forbidden(target, "delete"));
    }
    let write = Write::new(&request.method, &headers.content_type)?;
    refuse(state, target, write.verb())?;
    if !target.kind.writable {
        return Err(Status::forbidden(target, write.verb()));
    }
    let no_json = || Status::bad_request("the body of the request is no JSON");
    let body = request.body.ok_or_else(no_json)?;
    write::write(state, target, write, body).map(|(code, object)| Reply::Json(code, object))
}

fn refuse(state: &State, target: &Target, verb: &str) -> Result<(), Status> {
    match state.refusal(target.kind) {
        Some(code) => Err(Status::refused(code, target, verb)),
        None => Ok(()),
    }
}

fn response(shared: Arc<Shared>, reply: Reply) -> Response<Answer> {
    let (code, media, content) = match reply {
        Reply::Json(code, body) => {
            let bytes = format!("{body}\n").into_bytes();
            (code, "application/json", Content::Whole(bytes.into()))
        }
        Reply::Text(text) => (
            200,
            "text/plain; charset=utf-8",
            Content::Whole(text.into()),
        ),
        Reply::Watch(chunks) => (200, "application/json", Content::Stream(chunks)),
    };
    let mut response = Response::new(Answer::new(content, shared));
    if let Ok(code) = hyper::StatusCode::from_u16(code) {
        *response.status_mut() = code;
    }
    let media = HeaderValue::from_static(media);
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}
