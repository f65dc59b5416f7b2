//! The thread that accepts connections, and outages.

use std::{
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc::SyncSender},
    thread::{self, JoinHandle},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use crate::{service, state::Shared};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// Commands that wait.
const QUEUE: usize = 16;

/// Done when the sender is dropped.
pub(crate) type Done = SyncSender<()>;

#[derive(Debug)]
pub(crate) enum Command {
    Pause(Done),
    Resume(Done),
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The server ends with it.
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) thread: JoinHandle<()>,
}

impl Server {
    /// # Errors
    ///
    /// If there is no port or no thread.
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        // Never listens: it keeps the port for us while the server is paused, when nobody answers there.
        let reserved = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = reserved.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(async { bind(address)?.listen(BACKLOG) })?;
        let (commands, received) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("kube-stub".to_owned())
            .spawn(move || {
                runtime.block_on(serve(&shared, address, listener, received));
                drop(reserved);
            })?;
        Ok(Self {
            address,
            commands,
            thread,
        })
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn serve(
    shared: &Arc<Shared>,
    address: SocketAddr,
    listener: TcpListener,
    mut commands: mpsc::Receiver<Command>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                None => return,
                Some(Command::Pause(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    drop(done);
                }
                Some(Command::Resume(done)) => {
                    if listener.is_none() {
                        listener = bind(address).and_then(|socket| socket.listen(BACKLOG)).ok();
                    }
                    drop(done);
                }
            },
            Some(_ended) = connections.join_next() => {}
            Ok(stream) = accept(listener.as_ref()) => {
                connections.spawn(connection(Arc::clone(shared), stream));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _peer)| stream),
        None => pending().await,
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    // Events are small and must not wait for each other.
    stream.set_nodelay(true).ok();
    let answer = service_fn(|request| service::call(Arc::clone(&shared), request));
    // Clients go away as they like, and watches are broken off on purpose.
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), answer)
        .await
        .ok();
}
