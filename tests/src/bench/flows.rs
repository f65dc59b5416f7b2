//! Tables with many flows: the memory that they take, how long a reading takes, what the agent needs with them; and the
//! records of what ends.

mod agent;
mod crowd;
mod drain;
mod memory;
mod records;

use std::time::Duration;

use anyhow::{Context as _, Result};
use probe_user::loader::Kernel;
use serde::Serialize;

pub use agent::WithFlows;
pub use records::{Rate, Records};

use super::spread::Spread;

/// How many flows there are at a time.
const FLOWS: [u32; 2] = [100_000, 1_000_000];

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Flows {
    /// By the number of flows.
    pub tables: Vec<Table>,
    /// Records.
    pub records: Records,
}

/// With that many flows of datagrams.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// How many.
    pub flows: u32,
    /// Kernel memory of the table of flows by the entries that it is made for, in bytes.
    pub flow_bytes: Option<Spread>,
    /// The same of the table of connections.
    pub connection_bytes: Option<Spread>,
    /// Time in which all entries are read.
    pub read_ms: Option<Spread>,
    /// Time of the sweep in which all flows are new.
    pub first_sweep_ms: Option<Spread>,
    /// Time of a later sweep: all entries are read, compared with what was known and entered.
    pub sweep_ms: Option<Spread>,
    /// The agent.
    pub agent: Option<WithFlows>,
}

/// A line of the report.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// Unit.
    pub unit: &'static str,
    /// The measurement.
    pub measured: Option<Spread>,
}

/// Measures everything. The agent's processor time is taken over `window`.
///
/// # Errors
///
/// If probes are refused, flows cannot be made, or the agent does not answer.
pub fn measure(kernel: &Kernel, rounds: usize, window: Duration) -> Result<Flows> {
    let mut measured = Flows::default();
    for flows in FLOWS {
        eprintln!("{flows} flows");
        let memory = memory::measure(kernel, flows).context("measure memory")?;
        let drain = drain::measure(kernel, flows, rounds).context("measure sweeps")?;
        let agent = agent::measure(flows, rounds, window).context("measure the agent")?;
        measured.tables.push(Table {
            flows,
            flow_bytes: Spread::of([memory.flow_bytes]),
            connection_bytes: Spread::of([memory.connection_bytes]),
            read_ms: drain.read_ms,
            first_sweep_ms: drain.first_sweep_ms,
            sweep_ms: drain.sweep_ms,
            agent: Some(agent),
        });
    }
    eprintln!("records");
    measured.records = records::measure(kernel)?;
    Ok(measured)
}

impl Flows {
    /// All figures, a line each.
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<Figure> = self.tables.iter().flat_map(Table::figures).collect();
        figures.extend(self.records.figures());
        figures
    }
}

impl Table {
    fn figures(&self) -> Vec<Figure> {
        let figure = |what: &str, unit, measured| Figure {
            what: format!("{} flows: {what}", self.flows),
            unit,
            measured,
        };
        let mut figures = vec![
            figure("kernel memory of a flow", "B", self.flow_bytes),
            figure("kernel memory of a connection", "B", self.connection_bytes),
            figure("reading the table", "ms", self.read_ms),
            figure("the first sweep", "ms", self.first_sweep_ms),
            figure("a later sweep", "ms", self.sweep_ms),
        ];
        if let Some(agent) = &self.agent {
            figures.extend([
                figure("CPU of the agent", "%", agent.cpu),
                figure("RSS of the agent without flows", "MiB", agent.empty_rss_mib),
                figure("RSS of the agent", "MiB", agent.rss_mib),
                figure("scrape without flows", "ms", agent.empty_scrape_ms),
                figure("scrape while it sweeps each second", "ms", agent.scrape_ms),
            ]);
        }
        figures
    }
}
