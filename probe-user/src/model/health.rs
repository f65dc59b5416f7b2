//! How the probes themselves are doing.

use std::time::Duration;

/// A loss in the kernel side, counted since attach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostCount {
    /// Probe that lost it; the `stream` label.
    pub stream: &'static str,
    /// Where on its way it was lost: `kernel`, `ring`, `queue`, `decode`.
    pub stage: &'static str,
    /// Why, see `probe_common::loss`.
    pub reason: &'static str,
    /// How much.
    pub count: u64,
}

/// State of a probe or of one of its features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeatureState {
    /// Attached, everything works.
    On,
    /// Switched off by configuration.
    Off,
    /// Works with less, for this reason.
    Degraded(String),
    /// The kernel or the host cannot do it, for this reason.
    Unsupported(String),
    /// Should have worked and did not, for this reason.
    Failed(String),
}

impl FeatureState {
    /// The `state` label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Degraded(_) => "degraded",
            Self::Unsupported(_) => "unsupported",
            Self::Failed(_) => "failed",
        }
    }

    /// Why, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::On | Self::Off => None,
            Self::Degraded(why) | Self::Unsupported(why) | Self::Failed(why) => Some(why),
        }
    }
}

/// Cost of one attached program, as the kernel counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStats {
    /// Name of the program.
    pub name: String,
    /// Total run time; zero unless kernel statistics are on.
    pub run_time: Duration,
    /// Number of runs; zero unless kernel statistics are on.
    pub runs: u64,
    /// Runs that the kernel skipped because the program was already running on that CPU.
    pub recursion_misses: u64,
}

impl ProgramStats {
    /// A program that is not attached.
    pub fn absent(name: &str) -> Self {
        Self {
            name: name.into(),
            run_time: Duration::ZERO,
            runs: 0,
            recursion_misses: 0,
        }
    }
}

/// How full a kernel map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapFill {
    /// `probe/MAP`.
    pub map: String,
    /// Entries in use.
    pub entries: u64,
    /// Entries that fit.
    pub capacity: u64,
    /// Kernel memory of the map in bytes, as the kernel states it.
    pub bytes: u64,
}

/// All that is known of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeHealth {
    /// Name of the probe.
    pub probe: &'static str,
    /// Its state.
    pub state: FeatureState,
    /// Its programs; where it is not attached and should be, those that are missing.
    pub programs: Vec<ProgramStats>,
    /// Its maps.
    pub maps: Vec<MapFill>,
    /// How long the last collection took, and whether it succeeded.
    pub last_collect: Option<(Duration, bool)>,
}
