//! What is measured: nothing, programs that do nothing, our probes, and other tools.

mod empty;
mod ours;
mod peer;

use std::{collections::BTreeSet, fmt, time::Duration};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use probe_user::{loader::Kernel, model::Measurements, probes::Attached};
use serde::{Serialize, Serializer};

pub use empty::Empty;
pub use ours::Ours;
pub use peer::Peer;

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
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::Empty(empty) => empty.name(),
            Self::Ours(ours) => ours.name(),
            Self::Peer(peer) => peer.name(),
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
            Self::Ours(ours) => Guard::Ours(Box::new(ours.attach(kernel)?)),
            Self::Peer(peer) => Guard::Peer(peer.start()?),
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
    Ours(Box<Attached>),
    Peer(Process),
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
        }
    }

    /// What one of our probes has measured; nothing for others.
    ///
    /// # Errors
    ///
    /// If its maps cannot be read.
    pub fn measured(&mut self) -> Result<Option<Measurements>> {
        let Guard::Ours(probe) = &mut self.guard else {
            return Ok(None);
        };
        let mut measurements = Measurements::default();
        probe.collect(&mut measurements).context("read the probe")?;
        Ok(Some(measurements))
    }

    /// Detaches, and waits until the kernel has done so.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub fn detach(self) -> Result<()> {
        let programs = self.programs()?;
        match self.guard {
            Guard::Peer(mut process) => {
                // It may have ended by itself; then there is nothing to ask.
                process.signal(rustix::process::Signal::INT).ok();
                process.wait(Duration::from_secs(10)).ok();
            }
            guard => drop(guard),
        }
        programs::wait_gone(&programs)
    }
}
