//! Starting a session: kernel facts, the lifecycle probe, a walk of the hierarchy, then all other probes.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aya::Btf as AyaBtf;

use super::Session;
use crate::{
    identity::{Identities, Limits},
    kernel::{
        Roots,
        btf::Btf,
        cgroupfs::{CgroupfsError, Cgroups},
        cpus::{self, CpusError},
        features::Feature,
        memlock, priority,
    },
    loader::{Kernel, LoadError, Sizes},
    logs::chain,
    model::{FeatureState, OwnerKind, ProbeHealth, ProgramStats},
    probes::{Latency, Options, ProbeSpec, REGISTRY},
    select::Rule,
};

/// Whether a probe is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// Where it works.
    Auto,
    /// Yes; the start fails where it does not work.
    Always,
    /// No.
    Never,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the kernel shows itself.
    pub roots: Roots,
    /// Which probes are wanted, by name; those that are not named are `Never`.
    pub probes: HashMap<&'static str, Enabled>,
    /// What the owners of measurements are.
    pub owners: OwnerKind,
    /// Which system calls are timed.
    pub latency: Latency,
    /// Whether name look-ups are followed.
    pub dns: bool,
    /// One flow in this many is counted; 1 counts all.
    pub flow_sampling: u32,
    /// Flows that are not counted: rules on networks, ports and transports.
    pub flow_ignore: Vec<Rule>,
    /// How often the round-trip time of a connection that goes on is counted; zero for once in each reading.
    pub rtt_interval: Duration,
    /// Bytes for measurements in the kernel.
    pub kernel_memory: u64,
    /// Owners that are told apart in the kernel.
    pub max_owners: u32,
    /// Flows of datagrams at a time.
    pub max_flows: u32,
    /// TCP connections at a time.
    pub max_connections: u32,
    /// Bounds of what is kept of cgroups.
    pub limits: Limits,
    /// Whether programs write messages.
    pub debug: bool,
}

/// A session could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel's BTF is missing or cannot be used.
    #[error(
        "cannot use the kernel's type information {path}; the kernel must be built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    Btf {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: crate::kernel::btf::BtfError,
    },
    /// aya cannot use the kernel's BTF.
    #[error("cannot use the kernel's type information {path}")]
    AyaBtf {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: aya::BtfError,
    },
    /// There are no cgroups to tell containers apart by.
    #[error(transparent)]
    Cgroups(#[from] CgroupfsError),
    /// The number of CPUs is not known.
    #[error(transparent)]
    Cpus(#[from] CpusError),
    /// A probe that must run does not.
    #[error("probe `{probe}` cannot run")]
    Probe {
        /// Its name.
        probe: &'static str,
        /// Why.
        #[source]
        source: Box<LoadError>,
    },
    /// No probe runs at all.
    #[error("no probe can run; `nodeprobe doctor` says what is missing")]
    Nothing {
        /// Why the first of them does not.
        #[source]
        source: Box<LoadError>,
    },
}

impl Session {
    /// Attaches the probes that the plan asks for.
    ///
    /// # Errors
    ///
    /// If the kernel's types or cgroups cannot be found, a probe that must run does not, or none runs.
    pub fn start(plan: &Plan) -> Result<Self, StartError> {
        // Before Linux 5.11 maps count against this limit. Later kernels do not care, and where it cannot be lifted the
        // kernel says so when a map is made.
        memlock::raise().ok();
        let kernel = examine(&plan.roots)?;
        if kernel.preemptible {
            priority::allow();
        }
        let options = Options {
            owners: plan.owners,
            latency: plan.latency,
            sizes: Sizes {
                flows: plan.max_flows,
                connections: plan.max_connections,
                ..Sizes::plan(
                    plan.kernel_memory,
                    plan.max_owners,
                    plan.owners,
                    kernel.possible_cpus,
                )
            },
            dns: plan.dns,
            flow_sampling: plan.flow_sampling,
            flow_ignore: plan.flow_ignore.clone(),
            rtt_interval: plan.rtt_interval,
            debug: plan.debug,
        };
        let identities = Arc::new(Identities::new(plan.limits));
        let mut session = Self {
            identities,
            attached: Mutex::default(),
            absent: Vec::new(),
            states: Vec::new(),
            owners: plan.owners,
            readers: Mutex::default(),
            watch: None,
            max_cgroups: plan.limits.live,
            undisturbed: kernel.preemptible,
            leaving: Mutex::default(),
            sweep: Mutex::default(),
            started: Instant::now(),
            cgroups: kernel.cgroups.clone(),
        };
        let mut first_error = None;
        for spec in REGISTRY {
            match plan
                .probes
                .get(spec.name)
                .copied()
                .unwrap_or(Enabled::Never)
            {
                Enabled::Never => session
                    .absent
                    .push(absent(spec, FeatureState::Off, &options)),
                wanted => {
                    if let Some(error) = session.attach(&kernel, spec, &options, wanted)? {
                        first_error.get_or_insert(error);
                    }
                }
            }
            if spec.name == "lifecycle" {
                // Only after the probe is attached, so that nothing falls between the two.
                session.rescan();
            }
        }
        let measuring = session
            .attached()
            .iter()
            .any(|probe| probe.name != "lifecycle");
        let attached = session
            .attached()
            .iter()
            .map(|probe| (probe.name, probe.state.clone()))
            .collect::<Vec<_>>();
        let absent = session.absent.iter().map(|p| (p.probe, p.state.clone()));
        session.states = attached.into_iter().chain(absent).collect();
        // The kernel's types take tens of megabytes and are needed no more.
        drop(kernel);
        match first_error {
            Some(source) if !measuring => Err(StartError::Nothing {
                source: source.into(),
            }),
            _ => Ok(session),
        }
    }

    /// Attaches one probe; answers why not, where that is no reason to fail.
    fn attach(
        &mut self,
        kernel: &Kernel,
        spec: &'static ProbeSpec,
        options: &Options,
        wanted: Enabled,
    ) -> Result<Option<LoadError>, StartError> {
        match (spec.attach)(kernel, options) {
            Ok(mut probe) => {
                super::lock(&self.readers).take_from(&mut probe.readers);
                tracing::info!(
                    probe = spec.name,
                    state = probe.state.name(),
                    "probe attached"
                );
                self.attached().push(probe);
                Ok(None)
            }
            Err(source) if wanted == Enabled::Always => Err(StartError::Probe {
                probe: spec.name,
                source: source.into(),
            }),
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(probe = spec.name, error = reason, "probe is off");
                let state = match error {
                    LoadError::NoTracepoint(_) | LoadError::Unsupported(_) | LoadError::Btf(_) => {
                        FeatureState::Unsupported(reason)
                    }
                    _ => FeatureState::Failed(reason),
                };
                self.absent.push(absent(spec, state, options));
                Ok(Some(error))
            }
        }
    }
}

/// What is known of a probe that is not attached. One that should be shows the programs that are missing.
fn absent(spec: &ProbeSpec, state: FeatureState, options: &Options) -> ProbeHealth {
    let programs = match state {
        FeatureState::Off => &[],
        _ => (spec.hooks)(options),
    };
    ProbeHealth {
        probe: spec.name,
        state,
        programs: programs.iter().copied().map(ProgramStats::absent).collect(),
        maps: Vec::new(),
        last_collect: None,
    }
}

/// Reads what loading needs to know of the running kernel.
///
/// # Errors
///
/// If its types, its cgroups or the number of its CPUs cannot be found.
pub fn examine(roots: &Roots) -> Result<Kernel, StartError> {
    let path = roots.btf();
    let types = Btf::from_file(&path).map_err(|source| StartError::Btf {
        path: path.clone(),
        source,
    })?;
    let aya_types = AyaBtf::parse_file(&path, aya::Endianness::default())
        .map_err(|source| StartError::AyaBtf { path, source })?;
    let cgroups = Cgroups::find(&roots.proc)?;
    tracing::debug!(cgroups = cgroups.describe(), "cgroups found");
    let cpus = cpus::possible(roots)?;
    Ok(Kernel {
        task_storage: Feature::TaskStorage.probe(Some(&types)).is_yes(),
        // Only a kernel with PREEMPT_RT has this file. The function came with the change that let programs at system
        // calls sleep, and took the protection from those that do not (Linux 7.2).
        preemptible: roots.sys.join("kernel/realtime").exists()
            || types.has_function("trace_call_bpf_faultable"),
        proc: roots.proc.clone(),
        possible_cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        types,
        aya_types,
        cgroups,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_should_run_shows_the_programs_that_are_missing() {
        let options = Options {
            owners: OwnerKind::Cgroup,
            latency: Latency::Exact,
            sizes: Sizes::plan(64 << 20, 100, OwnerKind::Cgroup, 2),
            dns: false,
            flow_sampling: 1,
            flow_ignore: Vec::new(),
            rtt_interval: Duration::ZERO,
            debug: false,
        };
        let programs = |state| -> Vec<Vec<String>> {
            let of = |spec| absent(spec, FeatureState::clone(&state), &options).programs;
            let names = |spec| of(spec).into_iter().map(|program| program.name).collect();
            REGISTRY.iter().map(names).collect()
        };
        let failed = FeatureState::Failed("no permission".into());
        assert_eq!(programs(failed)[1], ["sys_enter", "sys_exit"]);
        assert!(programs(FeatureState::Off).iter().all(Vec::is_empty));
    }

    #[test]
    fn a_host_without_type_information_is_told_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let roots = Roots {
            proc: empty.path().into(),
            sys: empty.path().into(),
        };
        let error = examine(&roots).err().unwrap();
        assert!(
            error.to_string().contains("CONFIG_DEBUG_INFO_BTF"),
            "{error}"
        );
    }
}
