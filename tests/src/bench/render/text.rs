//! A run as tables.

use std::fmt::{self, Display, Formatter};

use super::{Report, Row, markdown::Table};
use crate::bench::{
    board::Board,
    flows::{Figure, Flows},
    goals::Goal,
    machine::Machine,
    matrix::MATRIX,
    spread::Spread,
    workload::Workload,
};

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Facts(self.machine))?;
        let Board {
            readings,
            disturbed,
            ..
        } = self.board;
        let rounds = self.board.rounds();
        writeln!(f, "rounds: {rounds}")?;
        writeln!(
            f,
            "programs of others came or went: in {disturbed} of {readings} readings"
        )?;
        for (workload, subjects) in MATRIX {
            let rows = self.rows(*workload, subjects);
            if rows.iter().any(|row| row.wall.is_some()) {
                let table = subjects_table(*workload, rows);
                writeln!(f, "\n{}\n\n{table}", title(*workload))?;
            }
        }
        for (workload, subject, reason) in &self.board.missing {
            writeln!(f, "not measured: {subject}, {}: {reason}", title(*workload))?;
        }
        match self.agent {
            Ok(agent) => {
                let (text, protobuf) = (agent.text_bytes, agent.protobuf_bytes);
                writeln!(
                    f,
                    "bytes of a scrape: {text} as text, {protobuf} as protobuf"
                )?;
            }
            Err(reason) => writeln!(f, "not measured: the agent: {reason}")?,
        }
        match self.flows {
            Ok(flows) => writeln!(f, "\ntables of flows\n\n{}", tables_of_flows(flows))?,
            Err(reason) => writeln!(f, "not measured: tables of flows: {reason}")?,
        }
        let mut table = Table::new(&["goal", "quantity", ">ours", ">goal", ">ratio", "met"]);
        for goal in self.goals {
            table.add(line(goal));
        }
        write!(f, "\n{table}")
    }
}

fn subjects_table(workload: Workload, rows: Vec<Row>) -> Table {
    let headings = [
        "",
        ">ns",
        ">A: added ns",
        ">A / empty",
        ">B: ns",
        ">counted, %",
        ">own CPU, %",
    ];
    let columns = if workload.is_of_packets() { 7 } else { 5 };
    let mut table = Table::new(&headings[..columns]);
    for row in rows {
        let cells = [
            row.subject.to_string(),
            figure(row.wall, 0),
            figure(row.added, 0),
            figure(row.by_empty, 2),
            figure(row.run_time, 0),
            figure(row.seen, 2),
            figure(row.cpu, 0),
        ];
        table.add(cells.into_iter().take(columns));
    }
    table
}

fn tables_of_flows(flows: &Flows) -> Table {
    let mut table = Table::new(&["", ">figure"]);
    for Figure {
        what,
        unit,
        measured,
    } in flows.figures()
    {
        table.add([what, format!("{} {unit}", figure(measured, 2))]);
    }
    table
}

fn line(goal: &Goal) -> [String; 6] {
    let sign = if goal.at_least { "at least" } else { "at most" };
    let ours = format!("{} {}", figure(goal.measured, 2), goal.unit);
    [
        goal.id.to_owned(),
        goal.quantity.clone(),
        ours.trim_end().to_owned(),
        format!("{sign} {}", goal.limit),
        goal.ratio()
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        goal.is_met(0.0).map_or("-", yes).to_owned(),
    ]
}

/// Facts of the machine, one a line.
struct Facts<'a>(&'a Machine);

impl Display for Facts<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Machine {
            processor,
            cpus,
            kernel,
            machine,
            jit,
            mitigations,
            cgroups,
            statistics_always_on,
            real_time,
            other_programs,
            load,
        } = self.0;
        writeln!(f, "machine: {cpus} CPUs, {processor}, {machine}")?;
        writeln!(f, "kernel: Linux {kernel}, BPF compiled: {}", yes(*jit))?;
        writeln!(f, "indirect branches: {mitigations}")?;
        writeln!(f, "cgroups: {cgroups}")?;
        writeln!(
            f,
            "real-time priority: {}; load before: {load}",
            yes(*real_time)
        )?;
        writeln!(
            f,
            "BPF statistics always on: {}",
            yes(*statistics_always_on)
        )?;
        write!(f, "other tracing programs: {other_programs}")
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn title(workload: Workload) -> &'static str {
    match workload {
        Workload::Syscall => "one getppid",
        Workload::PingPong => "one wake-up and switch on one CPU",
        Workload::PingPongAcross => "one wake-up across two CPUs",
        Workload::Datagram => "one datagram over loopback, sent and received",
        Workload::Segment => "one segment of established TCP over loopback, sent and received",
    }
}

/// Median and extremes; a dash for what was not measured.
fn figure(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        Some(Spread {
            median, count: 1, ..
        }) => format!("{median:.digits$}"),
        Some(Spread {
            median,
            min,
            max,
            count: _,
        }) => {
            format!("{median:.digits$} ({min:.digits$}..{max:.digits$})")
        }
        None => "-".to_owned(),
    }
}
