//! `nodeprobe metrics`: the metrics once, of a running agent or measured here.

use std::{
    future, io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::Builder,
    time::{sleep, timeout},
};

use super::{
    CliError, Kind,
    args::{AgentAddress, MetricsArgs, MetricsFormat},
    output,
    tool::let_go,
};
use crate::{
    agent::Agent,
    http::Backend as _,
    identity::resolver,
    metrics::Format,
    privileges::{self, Task},
    session::{Plan, Session},
};

/// How long to measure where nothing else is asked for.
const MEASURE: Duration = Duration::from_secs(10);

/// How long an agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Runs the command.
///
/// # Errors
///
/// If the agent does not answer, or the probes cannot be attached.
pub(super) fn run(args: &MetricsArgs) -> Result<Kind, CliError> {
    let format = match args.output {
        MetricsFormat::Openmetrics => Format::OpenMetrics,
        MetricsFormat::Prometheus => Format::Text,
        MetricsFormat::Json => Format::Json,
    };
    let text = match &args.address {
        Some(address) => ask(address, format)?,
        None => measure(args, format)?,
    };
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Kind::Fine)
}

/// Attaches all probes for a while.
fn measure(args: &MetricsArgs, format: Format) -> Result<Bytes, CliError> {
    privileges::check(&[Task::Probes])?;
    let config = args.runtimes.load()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut session = Session::start(&Plan::from(&config))?;
    session.identities().set_split(config.cgroups_split.clone());
    let_go(None);
    session.follow()?;
    let identities = session.identities().clone();
    let agent = Agent::new(session, None, &config, Arc::new(|| 0));
    runtime.block_on(async {
        let names = resolver::run(
            identities.clone(),
            (&config.runtimes).into(),
            None,
            future::pending(),
        );
        tokio::spawn(names);
        sleep(args.duration.unwrap_or(MEASURE)).await;
        resolver::resolve_now(&identities, Instant::now() + config.limits.naming_deadline).await;
    });
    agent.collect_last();
    agent.render(format).map_err(CliError::failure)
}

/// Scrapes a running agent.
fn ask(address: &AgentAddress, format: Format) -> Result<Bytes, CliError> {
    let authority = address.authority();
    let unreachable = |error: Box<dyn std::error::Error + Send + Sync>| {
        CliError::failure(error).with_remedy(format!(
            "is an agent listening on {authority}? start one with `nodeprobe agent`"
        ))
    };
    let sockets: Vec<SocketAddr> = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|error| {
            CliError::failure(error).with_remedy(format!("is {} the name of a host?", address.host))
        })?
        .collect();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let scrape = async {
        let stream = connect(&sockets).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(&address.path)
            .header(header::HOST, &authority)
            .header(header::ACCEPT, format.content_type())
            .body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!(
                "the agent answered {status}: {}",
                String::from_utf8_lossy(&body)
            )
            .into());
        }
        Ok(body)
    };
    runtime
        .block_on(async { timeout(ANSWER_WITHIN, scrape).await })
        .map_err(|_| unreachable("the agent does not answer".into()))?
        .map_err(unreachable)
}

/// Connects to the first address that answers: a name may stand for both protocols, and the agent listens on one.
async fn connect(sockets: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in sockets {
        match TcpStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}
