//! A client that blocks.

use std::{future::poll_fn, pin::Pin, time::Duration};

use hyper::{
    Request,
    body::{Body as _, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::StubApi;

const PATIENCE: Duration = Duration::from_secs(10);

/// One connection per request.
pub(crate) struct Client {
    address: String,
    token: &'static str,
}

impl Client {
    pub(crate) fn new(stub: &StubApi) -> Self {
        Self::with_token(stub, "")
    }

    pub(crate) fn with_token(stub: &StubApi, token: &'static str) -> Self {
        let address = stub.url().strip_prefix("http://").unwrap().to_owned();
        Self { address, token }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", &Value::Null)
    }

    pub(crate) fn send(&self, method: &str, path: &str, media: &str, body: &Value) -> (u16, Value) {
        let mut watch = self.open(method, path, media, body);
        let code = watch.code;
        while watch.fill() == Ok(true) {}
        (code, serde_json::from_slice(&watch.bytes).unwrap())
    }

    pub(crate) fn watch(&self, path: &str) -> Watch {
        self.open("GET", path, "", &Value::Null)
    }

    pub(crate) fn is_refused(&self) -> bool {
        std::net::TcpStream::connect(&self.address).is_err()
    }

    fn open(&self, method: &str, path: &str, media: &str, body: &Value) -> Watch {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", media)
            .body(body)
            .unwrap();
        let response = runtime.block_on(async {
            let stream = TcpStream::connect(&self.address).await.unwrap();
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            timeout(PATIENCE, sender.send_request(request))
                .await
                .unwrap()
                .unwrap()
        });
        Watch {
            runtime,
            code: response.status().as_u16(),
            body: response.into_body(),
            bytes: Vec::new(),
        }
    }
}

/// An answer that is read as it comes.
pub(crate) struct Watch {
    runtime: Runtime,
    code: u16,
    body: Incoming,
    bytes: Vec<u8>,
}

impl Watch {
    /// The next event: its type, its object.
    ///
    /// # Errors
    ///
    /// The end: clean or not.
    pub(crate) fn next(&mut self) -> Result<(String, Value), &'static str> {
        assert_eq!(self.code, 200);
        loop {
            if let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.bytes.drain(..=end).collect();
                let mut event: Value = serde_json::from_slice(&line).unwrap();
                return Ok((
                    event["type"].as_str().unwrap().to_owned(),
                    event["object"].take(),
                ));
            }
            if !self.fill()? {
                return Err("end");
            }
        }
    }

    /// The next event: its type and the name of its object.
    pub(crate) fn brief(&mut self) -> String {
        let (kind, object) = self.next().unwrap();
        format!(
            "{kind} {}",
            object["metadata"]["name"].as_str().unwrap_or_default()
        )
    }

    fn fill(&mut self) -> Result<bool, &'static str> {
        let body = &mut self.body;
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match self
            .runtime
            .block_on(async { timeout(PATIENCE, frame).await.unwrap() })
        {
            None => Ok(false),
            Some(Err(_fault)) => Err("broken"),
            Some(Ok(frame)) => {
                self.bytes.extend_from_slice(frame.data_ref().unwrap());
                Ok(true)
            }
        }
    }
}
