//! Sockets that are shared, handed over, or talk to many.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddrV4, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Done,
    net::{PATIENCE, address, unconnected},
    options::Options,
    stage, sys,
};

/// Accepts connections at `--port` of the loopback interface beside other processes that do the same, reads each to its end
/// and closes it, until the second signal.
pub(crate) fn share(options: &Options) -> Done {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, options.need("--port")?);
    let listener = sys::shared_listener(address)?;
    stage::ready_and_wait()?;
    let connections = Arc::new(AtomicU64::new(0));
    let count = connections.clone();
    // It ends with the process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if stream.read_to_end(&mut Vec::new()).is_ok() {
                count.fetch_add(1, Relaxed);
            }
        }
    });
    sys::wait_for(sys::SIGUSR1, None)?;
    let connections = connections.load(Relaxed);
    Ok(format!(r#"{{"connections":{connections}}}"#))
}

/// Connects, and has a child in another cgroup, by its file `--procs`, send `--send` bytes and close.
pub(crate) fn hand_over(options: &Options) -> Done {
    let procs: String = options.need("--procs")?;
    let data = vec![b'h'; options.need("--send")?];
    let mut stream = TcpStream::connect(address(options)?)?;
    let child = sys::child(|| {
        let sent = fs::write(&procs, "0").and_then(|()| stream.write_all(&data));
        i32::from(sent.is_err())
    })?;
    let status = sys::wait(child, 0)?;
    if status != 0 {
        return Err(format!("the child ended with {status}").into());
    }
    Ok(format!(r#"{{"sent":{}}}"#, data.len()))
}

/// Sends `--packets` datagrams of `--bytes` to each of `--peers` addresses of the loopback network, by one socket.
pub(crate) fn scatter(options: &Options) -> Done {
    let (peers, packets): (u32, u32) = (options.need("--peers")?, options.need("--packets")?);
    let port = options.need("--port")?;
    let data = vec![b's'; options.get_or("--bytes", 100)?];
    let socket = unconnected(Ipv4Addr::LOCALHOST.into())?;
    for peer in 1..=peers {
        let to = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + peer);
        for _ in 0..packets {
            socket.send_to(&data, (to, port))?;
        }
    }
    Ok(format!(r#"{{"packets":{}}}"#, peers * packets))
}

/// Receives datagrams at `--port` of all addresses until the second signal. Ready when it is bound.
pub(crate) fn gather(options: &Options) -> Done {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, options.need("--port")?))?;
    stage::ready_and_wait()?;
    thread::spawn(move || while socket.recv(&mut [0; 65_536]).is_ok() {});
    sys::wait_for(sys::SIGUSR1, None)?;
    Ok("{}".into())
}

/// Makes `--connections`, `--per-second` of them, each of which sends `--send` bytes and is closed after a millisecond.
pub(crate) fn burst(options: &Options) -> Done {
    const LIFE: Duration = Duration::from_millis(1);
    /// Each has one connection at a time.
    const THREADS: u32 = 16;
    let (connections, rate): (u32, u32) = (
        options.need("--connections")?,
        options.need("--per-second")?,
    );
    let data: Vec<u8> = vec![b'b'; options.get_or("--send", 0)?];
    let address = address(options)?;
    let begin = Instant::now();
    let workers: Vec<_> = (0..THREADS)
        .map(|first| {
            let data = data.clone();
            thread::spawn(move || -> std::io::Result<()> {
                for number in (first..connections).step_by(THREADS as usize) {
                    let due = Duration::from_secs(1) * number / rate;
                    if let Some(early) = due.checked_sub(begin.elapsed()) {
                        thread::sleep(early);
                    }
                    let mut stream = TcpStream::connect(address)?;
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.write_all(&data)?;
                    thread::sleep(LIFE);
                }
                Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| "a thread panicked")??;
    }
    let per_second = f64::from(connections) / begin.elapsed().as_secs_f64();
    Ok(format!(
        r#"{{"connections":{connections},"per_second":{per_second:.0}}}"#
    ))
}
