//! Attaching the probes of a tool.

use std::{collections::HashMap, time::Duration};

use tokio::runtime::Builder;

use super::Tool;
use crate::{
    cli::CliError,
    identity::Limits,
    kernel::{Roots, capabilities_for_map_reads},
    limits,
    logs::chain,
    model::{FeatureState, OwnerKind},
    privileges::{self, Task},
    probes::Latency,
    session::{Enabled, FlowSettings, Plan, Session, StartError, TranslationScope, Translator},
};

/// Longer than any measurement, and short enough to be added to a point in time.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// What a tool needs to run.
pub(in crate::cli) struct Needs {
    /// The probes besides the one that follows containers.
    pub(in crate::cli) probes: HashMap<&'static str, Enabled>,
    /// What the owners are.
    pub(in crate::cli) owners: OwnerKind,
    /// Which calls are timed.
    pub(in crate::cli) latency: Latency,
    /// Whether flows and look-ups are followed, and how.
    pub(in crate::cli) follow: Option<FlowSettings>,
    /// Whether what is behind translated addresses is asked for.
    pub(in crate::cli) translate: bool,
}

impl Tool {
    /// Attaches one probe, and the one that follows containers.
    pub(in crate::cli) fn start(
        name: &'static str,
        probe: &'static str,
        owners: OwnerKind,
        latency: Latency,
    ) -> Result<Self, CliError> {
        Self::start_with(
            name,
            Needs {
                probes: HashMap::from([(probe, Enabled::Always)]),
                owners,
                latency,
                follow: None,
                translate: false,
            },
        )
    }

    /// Attaches what a tool needs, and the probe that follows containers.
    pub(in crate::cli) fn start_with(name: &'static str, needs: Needs) -> Result<Self, CliError> {
        let Needs {
            mut probes,
            owners,
            latency,
            follow,
            translate,
        } = needs;
        probes.insert("lifecycle", Enabled::Auto);
        privileges::check(&[Task::Probes])?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let plan = Plan {
            dns: true,
            flow_sampling: 1,
            flow_ignore: Vec::new(),
            // Each report has all that are open at its end.
            rtt_interval: Duration::ZERO,
            max_flows: limits::FLOWS,
            max_connections: limits::CONNECTIONS,
            roots: Roots::default(),
            probes,
            owners,
            latency,
            kernel_memory: limits::KERNEL_MEMORY,
            max_owners: match owners {
                OwnerKind::Cgroup => limits::OWNERS,
                OwnerKind::Process => limits::PROCESSES,
            },
            limits: Limits {
                // A removed container is shown at the end, however long that takes.
                retention: FOR_GOOD,
                ..Limits::default()
            },
            debug: false,
        };
        let mut session = Session::start(&plan)?;
        let mut lacks = lacks(session.states());
        let translator = translate
            .then(|| Translator::start(TranslationScope::Host, plan.roots.proc.clone()))
            .transpose()
            .unwrap_or_else(|error| {
                lacks.push(format!(
                    "translated addresses are not asked for: {}",
                    chain(&error)
                ));
                None
            });
        let_go(translator.as_ref());
        session.follow()?;
        Ok(Self {
            name,
            session,
            runtime,
            follow,
            translator,
            notes: lacks,
            missing: Vec::new(),
            strict: false,
        })
    }
}

/// What probes lack that were asked for.
fn lacks(states: &[(&'static str, FeatureState)]) -> Vec<String> {
    let lacks = states.iter().filter_map(|(probe, state)| {
        let reason = state.reason()?;
        // The tools follow containers in another way then.
        (*probe != "lifecycle").then(|| format!("probe {probe} is {}: {reason}", state.name()))
    });
    lacks.collect()
}

/// Lets go of privileges once the probes are attached. Call it before there are other threads.
pub(in crate::cli) fn let_go(translator: Option<&Translator>) {
    let apart: Vec<_> = translator.map(Translator::apart).into_iter().collect();
    if let Err(error) = privileges::drop_after_attach(capabilities_for_map_reads(), &apart) {
        tracing::debug!(error = chain(&error), "privileges are kept");
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        Self::unsupported(error)
            .with_remedy("`nodeprobe doctor` says what works on this host and what to do")
    }
}
