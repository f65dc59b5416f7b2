//! A run as tables, or as one JSON object.

mod json;
mod markdown;
mod text;

use super::{
    agent::Agent,
    board::Board,
    flows::Flows,
    goals::Goal,
    machine::Machine,
    spread::Spread,
    subject::{Empty, Subject},
    workload::Workload,
};

/// Everything that a run found out.
#[derive(Debug)]
pub struct Report<'a> {
    /// Where it ran.
    pub machine: &'a Machine,
    /// Readings.
    pub board: &'a Board,
    /// The agent, or why it was not measured.
    pub agent: &'a Result<Agent, String>,
    /// Tables of flows, or why they were not measured.
    pub flows: &'a Result<Flows, String>,
    /// Goals.
    pub goals: &'a [Goal],
}

/// One line of a table of subjects.
struct Row {
    subject: Subject,
    wall: Option<Spread>,
    added: Option<Spread>,
    by_empty: Option<Spread>,
    run_time: Option<Spread>,
    seen: Option<Spread>,
    cpu: Option<Spread>,
}

impl Report<'_> {
    fn rows(&self, workload: Workload, subjects: &[Subject]) -> Vec<Row> {
        let floor = subjects
            .iter()
            .copied()
            .find(|subject| matches!(subject, Subject::Empty(empty) if *empty != Empty::Clocks));
        let board = self.board;
        let row = |subject| Row {
            subject,
            wall: board.over_rounds(|round| board.wall(round, workload, subject)),
            added: board.over_rounds(|round| board.added(round, workload, subject)),
            by_empty: board.over_rounds(|round| {
                let added = board.added(round, workload, subject)?;
                Some(added / board.added(round, workload, floor?)?)
            }),
            run_time: board.over_rounds(|round| board.run_time(round, workload, subject)),
            seen: board.over_rounds(|round| board.seen(round, workload, subject)),
            cpu: board.over_rounds(|round| board.cpu(round, workload, subject)),
        };
        subjects.iter().copied().map(row).collect()
    }
}
