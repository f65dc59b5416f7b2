//! Sockets that listen, and the handshakes that they drop.

use std::{os::fd::AsFd as _, sync::Arc};

use aya::{Ebpf, maps::Map, programs::ProgramFd};
use probe_common::tcp::Listener;

use super::ask;
use crate::{
    kernel,
    loader::LoadError,
    maps::{self, MapError},
};

const TABLE: &str = "LISTENERS";

/// The table of listening sockets, and the program that counts what they have dropped.
pub(super) struct Listeners {
    table: Map,
    program: ProgramFd,
}

impl Listeners {
    /// Takes the table and loads the program.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Arc<Self>, LoadError> {
        let program = ask::load(ebpf, "ask_listener")?;
        let table = maps::take(ebpf, TABLE)?;
        Ok(Arc::new(Self { table, program }))
    }

    /// All of them, by their address.
    pub(super) fn read(&self) -> Result<Vec<(u64, Listener)>, MapError> {
        maps::lookup_all(&self.table, TABLE)
    }

    /// Has the kernel side add what they have dropped since the last time to the totals of their cgroups. What ended
    /// meanwhile was counted when it did.
    pub(super) fn count_drops(&self) -> Result<(), MapError> {
        for (address, _) in self.read()? {
            kernel::run_raw_tracepoint(self.program.as_fd(), &[address])
                .map_err(|source| MapError::Read { map: TABLE, source })?;
        }
        Ok(())
    }
}
