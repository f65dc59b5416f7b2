//! Programs that do nothing but be there, or read the clock.

use std::fs::File;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType},
};
use probe_user::{
    loader::{self, Globals, Kernel},
    probes::EMPTY_OBJECT,
};

/// A set of such programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Empty {
    /// Nothing at the beginning and end of system calls.
    Syscalls,
    /// One reading of the clock at each: the least that exact durations take.
    Clocks,
    /// Nothing at wake-ups and switches.
    Scheduler,
    /// Nothing at packets that sockets send and receive.
    Packets,
}

impl Empty {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syscalls | Self::Scheduler | Self::Packets => "empty programs",
            Self::Clocks => "clock readings only",
        }
    }

    /// Programs and their tracepoints.
    fn programs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Syscalls => &[("empty_enter", "sys_enter"), ("empty_exit", "sys_exit")],
            Self::Clocks => &[("clock_enter", "sys_enter"), ("clock_exit", "sys_exit")],
            Self::Scheduler => &[
                ("empty_wakeup", "sched_wakeup"),
                ("empty_switch", "sched_switch"),
            ],
            Self::Packets => &[],
        }
    }

    pub(super) fn attach(self, kernel: &Kernel) -> Result<Ebpf> {
        let mut ebpf = loader::load(EMPTY_OBJECT, &Globals::new(), &[])?;
        for (program, tracepoint) in self.programs() {
            loader::attach_as(&mut ebpf, kernel, program, tracepoint)?;
        }
        if self == Self::Packets {
            attach_to_root(&mut ebpf, kernel)?;
        }
        Ok(ebpf)
    }
}

/// Attaches the packet programs where those of the probe `flows` are.
fn attach_to_root(ebpf: &mut Ebpf, kernel: &Kernel) -> Result<()> {
    let mount = &kernel.cgroups.mount;
    let root = File::open(mount).with_context(|| format!("open {}", mount.display()))?;
    for (name, direction) in [
        ("empty_egress", CgroupSkbAttachType::Egress),
        ("empty_ingress", CgroupSkbAttachType::Ingress),
    ] {
        let program: &mut CgroupSkb = ebpf
            .program_mut(name)
            .with_context(|| format!("the object has {name}"))?
            .try_into()?;
        program.load().with_context(|| format!("load {name}"))?;
        program
            .attach(&root, direction, CgroupAttachMode::Single)
            .with_context(|| format!("attach {name}"))?;
    }
    Ok(())
}
