//! What connections that go on have sent, and their round-trip times.

use std::{
    os::fd::AsFd as _,
    sync::Arc,
    time::{Duration, Instant},
};

use aya::{Ebpf, maps::Map, programs::ProgramFd};
use probe_common::tcp::{Connection, LIVE_AT_ONCE};

use super::{CONNECTIONS, ask};
use crate::{
    kernel,
    loader::LoadError,
    maps::{self, MapError},
};

/// Has the kernel side count what the connections of its table have sent since the last time.
pub(super) struct Live {
    connections: Arc<Map>,
    program: ProgramFd,
    every: Duration,
    /// When their round-trip times were counted last.
    counted: Option<Instant>,
}

impl Live {
    /// Loads the program. The round-trip time of a connection that goes on is counted once in `every`.
    pub(super) fn open(
        ebpf: &mut Ebpf,
        connections: Arc<Map>,
        every: Duration,
    ) -> Result<Self, LoadError> {
        Ok(Self {
            connections,
            program: ask::load(ebpf, "ask_live")?,
            every,
            counted: None,
        })
    }

    /// Has all of them counted.
    pub(super) fn count(&mut self, now: Instant) -> Result<(), MapError> {
        let is_due = self
            .counted
            .is_none_or(|counted| now.saturating_duration_since(counted) >= self.every);
        let known = maps::lookup_all::<u64, Connection>(&self.connections, CONNECTIONS)?;
        for some in known.chunks(LIVE_AT_ONCE) {
            let mut arguments = [0; 1 + LIVE_AT_ONCE];
            arguments[0] = u64::from(is_due);
            for (argument, (address, _)) in arguments[1..].iter_mut().zip(some) {
                *argument = *address;
            }
            kernel::run_raw_tracepoint(self.program.as_fd(), &arguments).map_err(|source| {
                MapError::Read {
                    map: CONNECTIONS,
                    source,
                }
            })?;
        }
        if is_due {
            self.counted = Some(now);
        }
        Ok(())
    }
}
