//! Asks a network namespace's connection tracking what it made of a flow, by the netlink protocol `ctnetlink`.
//!
//! The kernel checks both who opened the socket and who sends on it (`netlink_net_capable`): each needs `CAP_NET_ADMIN`.

mod message;

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect,
        netlink::{NETFILTER, SocketAddrNetlink},
        recv, send, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use self::message::Answer;
use crate::model::Tuple;

/// The kernel answers before `send` returns, so this is for what must not happen.
const PATIENCE: Duration = Duration::from_millis(100);

/// An entry with all that extensions add stays below one kilobyte.
const LARGEST_ANSWER: usize = 8192;

/// What connection tracking makes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracked {
    /// It has no entry for it.
    Absent,
    /// It has one, and the addresses stay as they are.
    AsItIs,
    /// Both ends as they are on the other side of the translation, still as the asking socket would see them.
    As(Tuple),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The kernel refuses.
    #[error("the kernel refuses a question about connection tracking")]
    Refused(#[source] io::Error),
    /// The socket does not work.
    #[error("cannot ask about connection tracking")]
    Socket(#[source] io::Error),
    /// The answer makes no sense.
    #[error("the kernel's answer about connection tracking makes no sense: {0}")]
    Answer(String),
    /// There was none in time.
    #[error("the kernel does not answer about connection tracking")]
    Late,
}

impl AskError {
    /// What stands in the way for good, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        let Self::Refused(error) = self else {
            return None;
        };
        match Errno::from_io_error(error)? {
            Errno::PERM | Errno::ACCESS => Some("needs CAP_NET_ADMIN"),
            // The subsystem is neither there nor to be loaded.
            Errno::INVAL | Errno::OPNOTSUPP => {
                Some("the kernel needs CONFIG_NF_CT_NETLINK, module nf_conntrack_netlink")
            }
            _ => None,
        }
    }
}

/// Whether the kernel has connection tracking at the moment. Where it has not, nothing is translated by it, and asking would load
/// the module.
pub fn is_loaded(proc: &Path) -> bool {
    proc.join("sys/net/netfilter/nf_conntrack_count").exists()
}

/// Connection tracking of one network namespace.
///
/// Keeps the namespace alive as long as it lives.
#[derive(Debug)]
pub struct Conntrack {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Conntrack {
    /// That of the namespace which the calling thread is in.
    ///
    /// # Errors
    ///
    /// If the kernel has no netfilter.
    pub fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(NETFILTER),
        )?;
        connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![0; LARGEST_ANSWER],
        })
    }

    /// How many connections it tracks. Where these are none, no other question is worth asking.
    ///
    /// # Errors
    ///
    /// If the kernel refuses or does not answer.
    pub fn entries(&mut self) -> Result<u32, AskError> {
        match self.ask(message::entries)? {
            Answer::Entries(count) => Ok(count),
            Answer::Refused(error) => Err(AskError::Refused(error.into())),
            other => Err(AskError::Answer(format!("{other:?}"))),
        }
    }

    /// What it makes of a flow of a socket: of one that began, and of one that it answered.
    ///
    /// # Errors
    ///
    /// If the kernel refuses or does not answer.
    pub fn look_up(&mut self, flow: &Tuple) -> Result<Tracked, AskError> {
        match self.ask(|sequence| message::entry_of(flow, sequence))? {
            Answer::Entry { original, reply } => Ok(message::translation(flow, &original, &reply)),
            Answer::Refused(Errno::NOENT) => Ok(Tracked::Absent),
            Answer::Refused(error) => Err(AskError::Refused(error.into())),
            other @ Answer::Entries(_) => Err(AskError::Answer(format!("{other:?}"))),
        }
    }

    fn ask(&mut self, question: impl FnOnce(u32) -> Vec<u8>) -> Result<Answer, AskError> {
        let failed = |error: Errno| AskError::Socket(error.into());
        self.sequence = self.sequence.wrapping_add(1);
        send(&self.socket, &question(self.sequence), SendFlags::empty()).map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let length = match recv(&self.socket, &mut *self.buffer, RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(failed(error)),
            };
            // One that came too late for an earlier question is skipped.
            if let Some(answer) = message::read(&self.buffer[..length], self.sequence)
                .map_err(|error| AskError::Answer(error.to_string()))?
            {
                return Ok(answer);
            }
        }
        Err(AskError::Late)
    }
}

#[cfg(test)]
mod tests;
