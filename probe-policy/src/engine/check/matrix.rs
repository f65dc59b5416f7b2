//! Who may talk with whom.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    engine::{Connection, End, Engine},
    model::{Phase, Protocol},
};

/// A port that nobody declares stands for all others.
const OTHER: u16 = 1;

/// Workloads, and what each may reach of each other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Matrix {
    /// Names of the workloads, in order.
    pub workloads: Vec<String>,
    /// Pairs of which something may pass, in order.
    pub cells: Vec<Cell>,
}

/// What one workload may reach of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cell {
    /// Who begins.
    pub from: String,
    /// Who is asked.
    pub to: String,
    /// Ports that it declares and that are allowed, such as `TCP 80`.
    pub allowed: Vec<String>,
    /// Ports that it declares and that are denied.
    pub denied: Vec<String>,
    /// Ports about which the API or the manifests leave it open.
    pub open: Vec<String>,
    /// Whether ports that it does not declare are allowed.
    pub others: bool,
}

impl Engine {
    /// One pod of each workload with each other one.
    pub fn matrix(&self) -> Matrix {
        let mut workloads = BTreeMap::new();
        for (index, pod) in (0..).zip(&self.cluster.pods) {
            if pod.phase == Phase::Alive {
                let name = pod.workload().name;
                workloads
                    .entry(format!("{}/{name}", pod.namespace))
                    .or_insert(index);
            }
        }
        let mut cells = Vec::new();
        for (from, source) in &workloads {
            for (to, destination) in &workloads {
                if source != destination {
                    cells.push(self.cell((from, *source), (to, *destination)));
                }
            }
        }
        Matrix {
            workloads: workloads.into_keys().collect(),
            cells,
        }
    }

    fn cell(&self, (from, source): (&str, u32), (to, destination): (&str, u32)) -> Cell {
        let allows = |protocol, port| {
            let verdict = self.judge(&Connection {
                from: End::Pod(source),
                to: End::Pod(destination),
                protocol,
                port,
            });
            verdict.combined.allows()
        };
        let declared = &self.cluster.pods[destination as usize].ports;
        let numbers: BTreeSet<_> = declared
            .iter()
            .map(|port| (port.protocol, port.number))
            .collect();
        let mut cell = Cell {
            from: from.to_owned(),
            to: to.to_owned(),
            allowed: Vec::new(),
            denied: Vec::new(),
            open: Vec::new(),
            others: allows(Protocol::Tcp, OTHER) == Some(true),
        };
        for (protocol, number) in numbers {
            let list = match allows(protocol, number) {
                Some(true) => &mut cell.allowed,
                Some(false) => &mut cell.denied,
                None => &mut cell.open,
            };
            list.push(format!("{protocol} {number}"));
        }
        cell
    }
}

impl Cell {
    /// Whether anything may pass.
    pub fn is_open(&self) -> bool {
        self.others || !self.allowed.is_empty()
    }

    /// What may pass, in short.
    pub fn describe(&self) -> String {
        match (self.others, self.allowed.is_empty()) {
            (true, _) if self.denied.is_empty() => "all".to_owned(),
            (true, _) => format!("all but {}", self.denied.join(", ")),
            (false, false) => self.allowed.join(", "),
            (false, true) => "-".to_owned(),
        }
    }
}
