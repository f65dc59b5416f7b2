//! Everything that the rows are made from, gathered once.

use rustix::thread::CapabilitySet;

use crate::{
    config::Config,
    kernel::{
        Roots,
        btf::{Btf, BtfError},
        cpus::{self, CpusError},
        features::Features,
        host::Host,
        memlock::Memlock,
    },
    privileges,
};

/// What is known of kernel, host and privileges.
#[derive(Debug)]
pub struct Facts {
    /// Where the facts come from.
    pub roots: Roots,
    /// What is to run.
    pub config: Config,
    /// Switches and mounts.
    pub host: Host,
    /// Types of the kernel.
    pub btf: Result<Btf, BtfError>,
    /// Number of possible CPUs.
    pub cpus: Result<usize, CpusError>,
    /// What the kernel can do.
    pub features: Features,
    /// What limits locked memory.
    pub memlock: Memlock,
    /// Capabilities in force.
    pub held: CapabilitySet,
}

impl Facts {
    /// Asks for everything. Takes well below a second.
    pub fn gather(roots: Roots, config: Config) -> Self {
        let memlock = Memlock::probe();
        if matches!(memlock, Memlock::Charged(Some(_))) {
            // Features are tried under the limit that the agent will have; a refusal shows in its row.
            crate::kernel::memlock::raise().ok();
        }
        let btf = Btf::from_file(&roots.btf());
        let cpus = cpus::possible(&roots);
        Self {
            host: Host::read(&roots),
            features: Features::probe(btf.as_ref().ok()),
            memlock,
            held: privileges::effective(),
            roots,
            config,
            btf,
            cpus,
        }
    }
}
