//! The goals of flows: P5 to P10, and P12 with flows.

use super::{Goal, run_time, wall};
use crate::bench::{
    board::Board,
    flows::Flows,
    spread::Spread,
    subject::{Observer, Ours, Subject},
    workload::Workload,
};

const FLOWS: Subject = Subject::Ours(Ours::Flows);

/// Goals of what packets cost.
pub(super) fn of_packets(board: &Board) -> Vec<Goal> {
    let run_ns = |workload| board.over_rounds(|round| board.run_time(round, workload, FLOWS));
    let a = |workload, other| wall(board, workload, FLOWS, other);
    let (datagram, segment) = (Workload::Datagram, Workload::Segment);
    let bpftrace = Subject::Observer(Observer::Bpftrace);
    let other_runs = board.over_rounds(|round| board.other_runs(round, segment, FLOWS));
    let mut goals = vec![
        Goal::at_most(
            "P5",
            "B datagram, both directions",
            "ns",
            120.0,
            run_ns(datagram),
        ),
        Goal::at_most(
            "P5",
            "B established TCP, both directions",
            "ns",
            30.0,
            run_ns(segment),
        ),
        Goal::at_most(
            "P5",
            "runs of programs of `tcp` per segment",
            "",
            0.001,
            other_runs,
        )
        .steady(),
        Goal::at_most(
            "P6",
            "B datagram / bpftrace",
            "",
            0.5,
            run_time(board, datagram, FLOWS, bpftrace),
        )
        .steady(),
    ];
    for observer in [
        Observer::Tcpdump,
        Observer::Softflowd,
        Observer::Argus,
        Observer::Pmacctd,
        Observer::Bpftrace,
    ] {
        let observer = Subject::Observer(observer);
        for (workload, name) in [(datagram, "datagram"), (segment, "established TCP")] {
            let quantity = format!("A {name} / {observer}");
            goals.push(Goal::at_most(
                "P6",
                quantity,
                "",
                0.5,
                a(workload, observer),
            ));
        }
    }
    goals
}

/// Goals of tables, records and the agent with them.
pub(super) fn of_tables(flows: &Flows) -> Vec<Goal> {
    let mut goals = Vec::new();
    for table in &flows.tables {
        let n = table.flows;
        let mut add = |id, quantity: &str, unit, limit, measured: Option<Spread>| {
            let goal = Goal::at_most(id, format!("{n} flows: {quantity}"), unit, limit, measured);
            goals.push(if id == "P8" { goal.steady() } else { goal });
        };
        let per_flow = f64::from(n) / 100_000.0;
        add(
            "P8",
            "kernel memory of a flow of datagrams",
            "B",
            170.0,
            table.flow_bytes,
        );
        add(
            "P8",
            "kernel memory of a connection",
            "B",
            170.0,
            table.connection_bytes,
        );
        add(
            "P9",
            "a reading of the table",
            "ms",
            60.0 * per_flow,
            table.read_ms,
        );
        add(
            "P9",
            "a sweep: reading, comparing, reporting",
            "ms",
            60.0 * per_flow,
            table.sweep_ms,
        );
        if let Some(agent) = &table.agent {
            add(
                "P9",
                "slowest scrape while it sweeps",
                "ms",
                100.0,
                agent.slowest(),
            );
            // Set for 100,000 flows; more may cost in proportion.
            add("P10", "CPU of the agent", "%", 2.0 * per_flow, agent.cpu);
            let bytes = 150.0 * f64::from(n);
            add(
                "P12",
                "RSS of the agent",
                "MiB",
                64.0 + bytes / f64::from(1 << 20),
                agent.rss_mib,
            );
        }
    }
    if let Some(ends) = &flows.records.ends {
        let lost = Spread::of([ends.lost as f64]);
        goals.push(Goal::at_most(
            "P7",
            "ends of connections lost",
            "",
            0.0,
            lost,
        ));
        let cpu = Spread::of([ends.cpu]);
        goals.push(Goal::at_most("P7", "CPU of who reads them", "%", 25.0, cpu));
    }
    goals
}
