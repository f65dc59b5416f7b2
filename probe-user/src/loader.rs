//! Loads kernel objects: offsets of fields by name, sizes of maps from a budget, programs by hook.

mod globals;
mod iterate;
mod sizes;
mod sockets;

pub use globals::Globals;
pub use iterate::{iterate, iterate_once};
pub use sizes::{Division, PoolSize, Sizes};
pub use sockets::require_v2;

use std::{borrow::Cow, io, path::PathBuf};

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{BtfTracePoint, FExit, ProgramError, TracePoint},
};

use crate::kernel::{
    btf::{self, BtfError},
    cgroupfs::Cgroups,
};

/// What loading needs to know of the running kernel.
#[derive(Debug)]
pub struct Kernel {
    /// Its types, for offsets.
    pub types: btf::Btf,
    /// Its types, for aya, which attaches `tp_btf` programs by them.
    pub aya_types: Btf,
    /// Where processes show themselves, normally `/proc`.
    pub proc: PathBuf,
    /// How containers are told apart.
    pub cgroups: Cgroups,
    /// CPUs that the kernel could ever have.
    pub possible_cpus: u32,
    /// Whether programs can keep state with a task that the kernel frees.
    pub task_storage: bool,
    /// Whether a typed program at a system call can be preempted. Its counters need atomic adds then, and while it waits the
    /// kernel skips it for the other tasks of that CPU.
    pub preemptible: bool,
}

/// An object could not be loaded or attached.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel has no BTF, or one that we cannot read.
    #[error("cannot use the kernel's BTF; the kernel must be built with CONFIG_DEBUG_INFO_BTF=y")]
    Btf(#[from] BtfError),
    /// aya could not use the kernel's BTF.
    #[error("cannot use the kernel's BTF; the kernel must be built with CONFIG_DEBUG_INFO_BTF=y")]
    AyaBtf(#[from] aya::BtfError),
    /// The kernel lacks a hook.
    #[error("the kernel has no tracepoint `{0}` that typed programs can attach to")]
    NoTracepoint(&'static str),
    /// A fact of the kernel is missing.
    #[error("{0}")]
    Unsupported(Cow<'static, str>),
    /// The object was not built.
    #[error(
        "this nodeprobe was built without its kernel side (AYA_BUILD_SKIP); build it with `cargo xtask build`"
    )]
    NotBuilt,
    /// Maps could not be created or programs not be found.
    #[error("cannot load the kernel object")]
    Object(#[from] aya::EbpfError),
    /// The kernel refused a program.
    #[error("the kernel refuses program `{program}`: {reason}")]
    Refused {
        /// Name of the program.
        program: &'static str,
        /// The end of the verifier's log.
        reason: String,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// A program is missing from its object.
    #[error("the kernel object has no program `{0}`; rebuild nodeprobe")]
    NoProgram(&'static str),
    /// A program could not be loaded or attached.
    #[error("cannot {action} program `{program}`")]
    Program {
        /// `load` or `attach`.
        action: &'static str,
        /// Name of the program.
        program: &'static str,
        /// What went wrong.
        #[source]
        source: ProgramError,
    },
    /// The root of the hierarchy could not be opened.
    #[error("cannot open the root of the control groups")]
    CgroupRoot(#[source] io::Error),
    /// A network namespace could not be visited.
    #[error("cannot visit all network namespaces; that takes CAP_SYS_ADMIN")]
    Namespaces(#[source] io::Error),
    /// A map could not be used.
    #[error(transparent)]
    Map(#[from] crate::maps::MapError),
}

impl LoadError {
    /// What went wrong with a program. The verifier's log has one line per instruction that it tried: the whole goes to the debug log.
    pub(crate) fn program(
        action: &'static str,
        program: &'static str,
        source: ProgramError,
    ) -> Self {
        match source {
            ProgramError::LoadError {
                io_error,
                verifier_log,
            } => {
                let log = verifier_log.to_string();
                tracing::debug!(program, "the verifier's log:\n{log}");
                Self::Refused {
                    program,
                    reason: reason(&log),
                    source: io_error,
                }
            }
            source => Self::Program {
                action,
                program,
                source,
            },
        }
    }
}

/// The end of a verifier's log, without the statistics that follow the refusal: the last instruction and what is wrong with it.
fn reason(log: &str) -> String {
    const STATISTICS: [&str; 3] = ["processed ", "verification time ", "stack depth "];
    let lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start)))
        .collect();
    let [.., instruction, refusal] = lines[..] else {
        return lines.first().unwrap_or(&"no reason given").to_string();
    };
    format!("{refusal} (at `{instruction}`)")
}

/// Loads an object with its globals and map sizes; nothing is attached yet.
///
/// # Errors
///
/// If the object is empty or the kernel refuses a map.
pub fn load(
    object: &[u8],
    globals: &Globals,
    max_entries: &[(&'static str, u32)],
) -> Result<Ebpf, LoadError> {
    if object.is_empty() {
        return Err(LoadError::NotBuilt);
    }
    let mut loader = EbpfLoader::new();
    loader.allow_unsupported_maps();
    globals.apply(&mut loader);
    for (map, entries) in max_entries {
        loader.map_max_entries(map, *entries);
    }
    Ok(loader.load(object)?)
}

/// Loads and attaches a `tp_btf` program that has the name of its tracepoint.
///
/// # Errors
///
/// If the kernel has no such tracepoint, or refuses the program.
pub fn attach(ebpf: &mut Ebpf, kernel: &Kernel, tracepoint: &'static str) -> Result<(), LoadError> {
    attach_as(ebpf, kernel, tracepoint, tracepoint)
}

/// Loads a program that has the name of its tracepoint and attaches it as perf does, which needs tracefs.
///
/// # Errors
///
/// If the kernel does not show such a tracepoint, or refuses the program.
pub fn attach_perf(
    ebpf: &mut Ebpf,
    category: &'static str,
    tracepoint: &'static str,
) -> Result<(), LoadError> {
    let failed = |action| move |source| LoadError::program(action, tracepoint, source);
    let loaded: &mut TracePoint = ebpf
        .program_mut(tracepoint)
        .ok_or(LoadError::NoProgram(tracepoint))?
        .try_into()
        .map_err(failed("load"))?;
    loaded.load().map_err(failed("load"))?;
    loaded
        .attach(category, tracepoint)
        .map_err(failed("attach"))?;
    Ok(())
}

/// Loads and attaches a `tp_btf` program to a tracepoint.
///
/// # Errors
///
/// As for [`attach`].
pub fn attach_as(
    ebpf: &mut Ebpf,
    kernel: &Kernel,
    program: &'static str,
    tracepoint: &'static str,
) -> Result<(), LoadError> {
    if !kernel.types.has_tracepoint(tracepoint) {
        return Err(LoadError::NoTracepoint(tracepoint));
    }
    let failed = |action| move |source| LoadError::program(action, program, source);
    let loaded: &mut BtfTracePoint = ebpf
        .program_mut(program)
        .ok_or(LoadError::NoProgram(program))?
        .try_into()
        .map_err(failed("load"))?;
    loaded
        .load(tracepoint, &kernel.aya_types)
        .map_err(failed("load"))?;
    loaded.attach().map_err(failed("attach"))?;
    Ok(())
}

/// Loads a program that has the name of a kernel function and attaches it to where that returns.
///
/// # Errors
///
/// If the kernel has no such function, does not let its functions be traced, or refuses the program.
pub fn attach_exit(
    ebpf: &mut Ebpf,
    kernel: &Kernel,
    function: &'static str,
) -> Result<(), LoadError> {
    let failed = |action| move |source| LoadError::program(action, function, source);
    let loaded: &mut FExit = ebpf
        .program_mut(function)
        .ok_or(LoadError::NoProgram(function))?
        .try_into()
        .map_err(failed("load"))?;
    loaded
        .load(function, &kernel.aya_types)
        .map_err(failed("load"))?;
    loaded.attach().map_err(failed("attach"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn a_refusal_is_told_by_the_end_of_the_log() {
        let log = "31: (15) if r1 == 0x0 goto pc+3\n32: (61) r1 = *(u32 *)(r6 +0)\n\
            access beyond the end of member on_cpu (mend:53) in struct task_struct with off 52 size 4\n\
            verification time 512 usec\nstack depth 24\nprocessed 33 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!(
            reason(log),
            "access beyond the end of member on_cpu (mend:53) in struct task_struct with off 52 size 4 \
             (at `32: (61) r1 = *(u32 *)(r6 +0)`)"
        );
    }

    #[test]
    fn a_log_of_one_line_or_none_is_a_reason_too() {
        assert_eq!(reason("no log\n"), "no log");
        assert_eq!(reason(""), "no reason given");
    }
}
