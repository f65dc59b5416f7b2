//! A network of the benchmark's own: a namespace with nothing but loopback, which nobody else sees.

use std::{
    fs::File,
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::Command,
    sync::OnceLock,
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::{guard, skip::program};

/// The namespace, which lasts as long as this and what entered it.
#[derive(Debug)]
pub struct Network {
    namespace: File,
}

/// The network of this process. Made when it is first asked for.
///
/// # Errors
///
/// If it cannot be made; what went wrong then stays so.
pub fn network() -> Result<&'static Network> {
    static NETWORK: OnceLock<Result<Network, String>> = OnceLock::new();
    NETWORK
        .get_or_init(|| Network::make().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("no network namespace: {error}"))
}

impl Network {
    fn make() -> Result<Self> {
        thread::spawn(|| {
            // SAFETY: a network namespace does not affect the file table.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("leave the host's network")?;
            guard::run(Command::new(program("ip", "iproute2")?).args(["link", "set", "lo", "up"]))?;
            let namespace = File::open("/proc/thread-self/ns/net").context("open the namespace")?;
            Ok(Self { namespace })
        })
        .join()
        .map_err(|_| anyhow!("a thread panicked"))?
    }

    /// Moves the calling thread there, for good.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn enter(&self) -> Result<()> {
        move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .context("enter the network namespace")
    }

    /// Does some work there, in a thread of its own.
    ///
    /// # Errors
    ///
    /// If the work fails.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.enter()?;
                    work()
                })
                .join()
                .map_err(|_| anyhow!("a thread panicked"))?
        })
    }

    /// Has a command run there.
    pub fn command<'a>(&'static self, command: &'a mut Command) -> &'a mut Command {
        let namespace = self.namespace.as_fd();
        // SAFETY: setns is async-signal-safe, and nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
                Ok(())
            })
        }
    }
}
