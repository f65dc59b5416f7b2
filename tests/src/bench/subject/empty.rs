//! Programs that do nothing but be there, or read the clock.

use anyhow::Result;
use aya::Ebpf;
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
}

impl Empty {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syscalls | Self::Scheduler => "empty programs",
            Self::Clocks => "clock readings only",
        }
    }

    /// Programs and their tracepoints.
    fn programs(self) -> [(&'static str, &'static str); 2] {
        match self {
            Self::Syscalls => [("empty_enter", "sys_enter"), ("empty_exit", "sys_exit")],
            Self::Clocks => [("clock_enter", "sys_enter"), ("clock_exit", "sys_exit")],
            Self::Scheduler => [
                ("empty_wakeup", "sched_wakeup"),
                ("empty_switch", "sched_switch"),
            ],
        }
    }

    pub(super) fn attach(self, kernel: &Kernel) -> Result<Ebpf> {
        let mut ebpf = loader::load(EMPTY_OBJECT, &Globals::new(), &[])?;
        for (program, tracepoint) in self.programs() {
            loader::attach_as(&mut ebpf, kernel, program, tracepoint)?;
        }
        Ok(ebpf)
    }
}
