//! The goals, as figures of a run.

mod flows;

use serde::Serialize;

use super::{
    agent::Agent,
    board::Board,
    flows::Flows,
    policy::Policies,
    spread::Spread,
    subject::{Empty, Ours, Peer, Subject},
    workload::Workload,
};

/// A goal: what was measured, and what it should be at most.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// Its number.
    pub id: &'static str,
    /// What is measured, and by which measure.
    pub quantity: String,
    /// Unit of the figures; empty for ratios.
    pub unit: &'static str,
    /// Largest value that meets it, or the smallest if `at_least`.
    pub limit: f64,
    /// Whether larger is better.
    pub at_least: bool,
    /// Whether the figure holds on a busy machine, so that a check may depend on it.
    pub steady: bool,
    /// The measurement, where there is one.
    pub measured: Option<Spread>,
}

impl Goal {
    fn at_most(
        id: &'static str,
        quantity: impl Into<String>,
        unit: &'static str,
        limit: f64,
        measured: Option<Spread>,
    ) -> Self {
        let quantity = quantity.into();
        Self {
            id,
            quantity,
            unit,
            limit,
            at_least: false,
            steady: false,
            measured,
        }
    }

    fn steady(self) -> Self {
        Self {
            steady: true,
            ..self
        }
    }

    /// What was measured by what it should be.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.measured?.median / self.limit).filter(|ratio| ratio.is_finite())
    }

    /// Whether it is met when the limit is moved by this share; `None` if it was not measured.
    pub fn is_met(&self, tolerance: f64) -> Option<bool> {
        let median = self.measured?.median;
        Some(if self.at_least {
            median >= self.limit * (1.0 - tolerance)
        } else {
            median <= self.limit * (1.0 + tolerance)
        })
    }
}

const COUNTS: Subject = Subject::Ours(Ours::Counts);
const SAMPLED: Subject = Subject::Ours(Ours::Sampled);
const EXACT: Subject = Subject::Ours(Ours::Exact);
const EMPTY: Subject = Subject::Empty(Empty::Syscalls);
const CLOCKS: Subject = Subject::Empty(Empty::Clocks);
const SYSCOUNT_L: Subject = Subject::Peer(Peer::SyscountLatency);
const BPFTRACE_HIST: Subject = Subject::Peer(Peer::BpftraceHistogram);
const SCHEDULER: Subject = Subject::Ours(Ours::Scheduler);
const RUNQLAT: Subject = Subject::Peer(Peer::Runqlat);

/// All goals. `agent` and `tables` are absent if these parts were not run.
pub fn all(
    board: &Board,
    agent: Option<&Agent>,
    tables: Option<&Flows>,
    policies: Option<&Policies>,
) -> Vec<Goal> {
    let a = |ours, other| wall(board, Workload::Syscall, ours, other);
    let b = |workload, ours, other| run_time(board, workload, ours, other);
    let (calls, switches) = (Workload::Syscall, Workload::PingPong);
    let run_ns = |workload, ours| board.over_rounds(|round| board.run_time(round, workload, ours));
    let mut goals = vec![
        Goal::at_most("P1", "A counts / empty programs", "", 1.2, a(COUNTS, EMPTY)),
        Goal::at_most("P2", "B all timed", "ns", 100.0, run_ns(calls, EXACT)),
        Goal::at_most(
            "P2",
            "A all timed / clock readings only",
            "",
            1.2,
            a(EXACT, CLOCKS),
        ),
        Goal::at_most(
            "P2",
            "A all timed / syscount -L",
            "",
            0.6,
            a(EXACT, SYSCOUNT_L),
        ),
        Goal::at_most(
            "P2",
            "B all timed / syscount -L",
            "",
            0.6,
            b(calls, EXACT, SYSCOUNT_L),
        )
        .steady(),
        Goal::at_most(
            "P2",
            "A all timed / bpftrace hist",
            "",
            0.25,
            a(EXACT, BPFTRACE_HIST),
        ),
        Goal::at_most(
            "P2",
            "B all timed / bpftrace hist",
            "",
            0.25,
            b(calls, EXACT, BPFTRACE_HIST),
        )
        .steady(),
        Goal::at_most(
            "P3",
            "A 1 in 64 timed / empty programs",
            "",
            1.3,
            a(SAMPLED, EMPTY),
        ),
        Goal::at_most(
            "P4",
            "B scheduler, wake-up and switch",
            "ns",
            160.0,
            run_ns(switches, SCHEDULER),
        ),
        Goal::at_most(
            "P4",
            "B scheduler / runqlat",
            "",
            0.75,
            b(switches, SCHEDULER, RUNQLAT),
        )
        .steady(),
    ];
    let counted = board.counted();
    let share = counted.and_then(|(share, _)| Spread::of([share]));
    let lost = counted.and_then(|(_, lost)| Spread::of([lost as f64]));
    let counted = Goal::at_most("", "operations counted / done, worst", "", 1.0, share).steady();
    goals.push(Goal {
        at_least: true,
        ..counted
    });
    goals.push(Goal::at_most("", "losses that our probes report", "", 0.0, lost).steady());
    goals.extend(flows::of_packets(board));
    if let Some(tables) = tables {
        goals.extend(flows::of_tables(tables));
    }
    if let Some(agent) = agent {
        goals.extend([
            Goal::at_most(
                "P10",
                "CPU of the idle agent, 1000 cgroups",
                "%",
                0.5,
                agent.idle_cpu,
            ),
            Goal::at_most(
                "P11",
                "scrape of 1000 cgroups, text",
                "ms",
                100.0,
                agent.text_ms,
            ),
            Goal::at_most(
                "P11",
                "scrape of 1000 cgroups, protobuf",
                "ms",
                100.0,
                agent.protobuf_ms,
            ),
            Goal::at_most(
                "P11",
                "largest RSS / idle, 1000 cgroups",
                "",
                1.3,
                agent.peak_rss_ratio,
            ),
            Goal::at_most(
                "P12",
                "RSS of the idle agent",
                "MiB",
                25.0,
                agent.idle_rss_mib,
            ),
            Goal::at_most("P13", "start to first metrics", "s", 1.0, agent.start_s),
        ]);
    }
    if let Some(policies) = policies {
        let goal = |what: &str, unit, limit, measured| {
            let quantity = format!("10,000 policies and 10,000 pods: {what}");
            Goal::at_most("P14", quantity, unit, limit, measured)
        };
        goals.extend([
            goal("an engine is made", "ms", 250.0, policies.build_ms),
            goal("a verdict, by pod", "ns", 1000.0, policies.by_pod_ns),
            goal(
                "a verdict, by address",
                "ns",
                1000.0,
                policies.by_address_ns,
            ),
            goal("a verdict of 64 pairs", "ns", 1000.0, policies.again_ns),
        ]);
    }
    goals
}

fn wall(board: &Board, workload: Workload, ours: Subject, other: Subject) -> Option<Spread> {
    board.over_rounds(|round| {
        Some(board.added(round, workload, ours)? / board.added(round, workload, other)?)
    })
}

fn run_time(board: &Board, workload: Workload, ours: Subject, other: Subject) -> Option<Spread> {
    board.over_rounds(|round| {
        Some(board.run_time(round, workload, ours)? / board.run_time(round, workload, other)?)
    })
}
