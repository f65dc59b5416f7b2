//! What goes wrong between a client and its server.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::{TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd as _,
    thread,
};

use crate::{
    Done,
    net::{address, question, unconnected},
    options::Options,
    stage, sys,
};

/// Makes `--connections` at the same time and keeps them, and says how many were made and how many failed by which error.
pub(crate) fn attempts(options: &Options) -> Done {
    let connections: usize = options.need("--connections")?;
    let address = address(options)?;
    let attempts: Vec<_> = (0..connections)
        .map(|_| thread::spawn(move || TcpStream::connect(address)))
        .collect();
    let mut made = Vec::new();
    let mut failed = BTreeMap::<String, u64>::new();
    for attempt in attempts {
        match attempt.join().map_err(|_| "a thread panicked")? {
            Ok(stream) => made.push(stream),
            Err(error) => *failed.entry(format!("{:?}", error.kind())).or_default() += 1,
        }
    }
    let failed: Vec<_> = failed
        .iter()
        .map(|(kind, count)| format!(r#""{kind}":{count}"#))
        .collect();
    let made_count = made.len();
    // Whoever wants them kept says so by `--hold`.
    made.into_iter().for_each(std::mem::forget);
    Ok(format!(
        r#"{{"made":{made_count},"failed":{{{}}}}}"#,
        failed.join(",")
    ))
}

/// Listens with a queue for one connection and accepts none, until the second signal.
pub(crate) fn full(options: &Options) -> Done {
    let listener = TcpListener::bind(address(options)?)?;
    sys::listen(listener.as_fd(), 1)?;
    stage::ready_and_wait()?;
    sys::wait_for(sys::SIGUSR1, None)?;
    Ok("{}".into())
}

/// Accepts `--connections`, for all of which there is room in its queue, and closes each at once. Ready when it listens.
pub(crate) fn turn_away(options: &Options) -> Done {
    let connections: u16 = options.need("--connections")?;
    let listener = TcpListener::bind(address(options)?)?;
    sys::listen(listener.as_fd(), connections.into())?;
    stage::ready_and_wait()?;
    for _ in 0..connections {
        listener.accept()?;
    }
    Ok(format!(r#"{{"connections":{connections}}}"#))
}

/// Makes `--connections` one after the other, sends `--send` bytes on each and ends it with a reset.
pub(crate) fn resets(options: &Options) -> Done {
    let connections: u64 = options.need("--connections")?;
    let data = vec![b'r'; options.get_or("--send", 0)?];
    let address = address(options)?;
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&data)?;
        sys::close_by_reset(stream.as_fd())?;
        drop(stream);
    }
    Ok(format!(r#"{{"connections":{connections}}}"#))
}

/// Asks `--packets` times for a name and waits for no answer.
pub(crate) fn ask_in_vain(options: &Options) -> Done {
    let packets: u16 = options.need("--packets")?;
    let address = address(options)?;
    let socket: UdpSocket = unconnected(address.ip())?;
    for id in 1..=packets {
        socket.send_to(&question(id), address)?;
    }
    Ok(format!(r#"{{"packets":{packets}}}"#))
}
