//! What is measured: nothing, programs that do nothing, our probes, and other tools.

mod empty;
mod observer;
pub mod ours;
mod peer;

use std::{collections::BTreeSet, fmt, time::Duration};

use anyhow::Result;
use aya::Ebpf;
use probe_user::{loader::Kernel, probes::Attached};
use serde::{Serialize, Serializer};

pub use empty::Empty;
pub use observer::Observer;
pub use ours::Ours;
pub use peer::Peer;

use self::observer::Observing;
use crate::{attached::programs_of, bench::programs, guard::Process};

/// Something that can be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// No programs.
    Nothing,
    /// Programs that do nothing.
    Empty(Empty),
    /// One of our probes.
    Ours(Ours),
    /// A tool that is not ours.
    Peer(Peer),
    /// A tool that is not ours and accounts for packets.
    Observer(Observer),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::Empty(empty) => empty.name(),
            Self::Ours(ours) => ours.name(),
            Self::Peer(peer) => peer.name(),
            Self::Observer(observer) => observer.name(),
        })
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Subject {
    /// Attaches it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::Unavailable) for a tool that is not installed; else if something is
    /// refused.
    pub fn attach(self, kernel: &Kernel) -> Result<Running> {
        let guard = match self {
            Self::Nothing => Guard::Nothing,
            Self::Empty(empty) => Guard::Empty(empty.attach(kernel)?),
            Self::Ours(ours) => Guard::Ours(ours.attach(kernel)?),
            Self::Peer(peer) => Guard::Peer(peer.start()?),
            Self::Observer(observer) => Guard::Observer(Box::new(observer.start()?)),
        };
        Ok(Running { guard })
    }
}

/// A subject that is attached.
#[must_use]
pub struct Running {
    guard: Guard,
}

enum Guard {
    Nothing,
    Empty(#[expect(dead_code, reason = "detaches when it is dropped")] Ebpf),
    Ours(Vec<Attached>),
    Peer(Process),
    Observer(Box<Observing>),
}

impl Running {
    /// Ids of its programs.
    ///
    /// # Errors
    ///
    /// If the process that holds them is gone.
    pub fn programs(&self) -> Result<BTreeSet<u32>> {
        match &self.guard {
            Guard::Nothing => Ok(BTreeSet::new()),
            Guard::Empty(_) | Guard::Ours(_) => programs_of(std::process::id().cast_signed()),
            Guard::Peer(process) => programs_of(process.pid()),
            Guard::Observer(observing) => programs_of(observing.pid()),
        }
    }

    /// Processor time that an observer of packets has used; nothing for others.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn cpu_time(&self) -> Result<Option<Duration>> {
        match &self.guard {
            Guard::Observer(observing) => observing.cpu_time().map(Some),
            _ => Ok(None),
        }
    }

    /// Our probes, where they are what is attached.
    pub fn probes(&mut self) -> Option<&mut [Attached]> {
        match &mut self.guard {
            Guard::Ours(probes) => Some(probes),
            _ => None,
        }
    }

    /// Detaches, and waits until the kernel has done so. Answers how many packets an observer counted.
    ///
    /// # Errors
    ///
    /// If it does not, or the observer does not tell.
    pub fn detach(self) -> Result<Option<u64>> {
        let programs = self.programs()?;
        let mut packets = None;
        match self.guard {
            Guard::Observer(observing) => packets = Some(observing.stop()?),
            Guard::Peer(mut process) => {
                // It may have ended by itself; then there is nothing to ask.
                process.signal(rustix::process::Signal::INT).ok();
                process.wait(Duration::from_secs(10)).ok();
            }
            guard => drop(guard),
        }
        programs::wait_gone(&programs)?;
        Ok(packets)
    }
}
