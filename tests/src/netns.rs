//! Network namespaces of a test, joined by interfaces of its own. They go when their guard goes, with all that is in them.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
    sync::Arc,
    thread,
};

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::{
    guard::run,
    skip::{Unavailable, program},
};

/// A network namespace, kept by an open file. Clones are the same namespace.
#[derive(Clone, Debug)]
pub struct Netns {
    file: Arc<OwnedFd>,
}

impl Netns {
    /// Makes a namespace with nothing but its loopback interface, which is up.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where there is no `ip`; else if it cannot be made.
    pub fn new() -> Result<Self> {
        program("ip", "iproute2")?;
        let made = thread::spawn(|| {
            // SAFETY: a network namespace does not affect the file table that the threads share.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = made
            .join()
            .expect("the thread does not panic")
            .context("make a network namespace")?;
        let this = Self {
            file: Arc::new(file.into()),
        };
        this.ip("link set lo up")?;
        Ok(this)
    }

    /// The namespace of a process.
    ///
    /// # Errors
    ///
    /// If it is gone.
    pub fn of(pid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/ns/net");
        let file = File::open(&path).with_context(|| format!("open {path}"))?;
        Ok(Self {
            file: Arc::new(file.into()),
        })
    }

    /// Has a command run here.
    #[must_use]
    pub fn within(&self, mut command: Command) -> Command {
        let file = self.file.clone();
        // SAFETY: setns is async-signal-safe, and nothing is allocated.
        unsafe { command.pre_exec(move || enter(&file)) };
        command
    }

    /// Runs a program here to its end, and returns what it prints.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if it is not installed; else if it fails.
    pub fn run(&self, name: &str, package: &str, args: &str) -> Result<String> {
        let mut command = self.within(Command::new(program(name, package)?));
        run(command.args(args.split_whitespace()))
    }

    /// Runs `ip` here.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn ip(&self, args: &str) -> Result<String> {
        self.run("ip", "iproute2", args)
    }

    /// Calls a function on a thread of this namespace: sockets that it opens belong here.
    ///
    /// # Panics
    ///
    /// If the function does, or the thread cannot enter.
    pub fn inside<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&self.file).expect("a namespace that is open can be entered");
                call()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Joins two namespaces by a pair of interfaces `eth0` with these addresses, each with the length of its prefix.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if this kernel has no such interfaces; else if that fails.
    pub fn join(&self, here: &[&str], other: &Self, there: &[&str]) -> Result<()> {
        let fd = other.file.as_raw_fd();
        // `ip` is a child and has files of its own.
        let peer = format!("/proc/{}/fd/{fd}", std::process::id());
        self.ip(&format!(
            "link add eth0 type veth peer name eth0 netns {peer}"
        ))
        .map_err(|error| {
            let text = format!("{error:#}");
            if text.contains("Unknown device type") || text.contains("not supported") {
                return Unavailable("this kernel has no veth interfaces".into()).into();
            }
            error
        })?;
        for (side, addresses) in [(self, here), (other, there)] {
            for address in addresses {
                // Without the wait for somebody else who has it.
                let nodad = if address.contains(':') { "nodad" } else { "" };
                side.ip(&format!("address add {address} dev eth0 {nodad}"))?;
            }
            side.ip("link set eth0 up")?;
        }
        Ok(())
    }

    /// Sets a value below `/proc/sys/net`, as seen from here.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.inside(|| std::fs::write(&path, value))
            .with_context(|| format!("set {path}"))
    }
}

/// Async-signal-safe: one system call.
fn enter(file: &OwnedFd) -> io::Result<()> {
    Ok(move_into_link_name_space(
        file.as_fd(),
        Some(LinkNameSpaceType::Network),
    )?)
}
