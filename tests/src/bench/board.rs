//! All readings, and the figures that are made of them round by round.

use std::collections::HashMap;

use super::{
    programs::Cost,
    reading::Reading,
    spread::Spread,
    subject::{Empty, Subject},
    workload::Workload,
};

/// The readings of a run.
#[derive(Debug, Default)]
pub struct Board {
    readings_of: HashMap<(Workload, Subject), HashMap<usize, Reading>>,
    rounds: usize,
    /// What could not be measured, and why.
    pub missing: Vec<(Workload, Subject, String)>,
    /// Readings that were tried.
    pub readings: usize,
    /// Those during which tracing programs of somebody else came or went.
    pub disturbed: usize,
}

impl Board {
    /// Adds a reading.
    pub fn add(&mut self, round: usize, workload: Workload, subject: Subject, reading: Reading) {
        self.rounds = self.rounds.max(round + 1);
        self.readings_of
            .entry((workload, subject))
            .or_default()
            .insert(round, reading);
    }

    /// Notes what could not be measured.
    pub fn miss(&mut self, workload: Workload, subject: Subject, reason: String) {
        self.missing.push((workload, subject, reason));
    }

    /// Rounds that were done.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    fn reading(&self, round: usize, workload: Workload, subject: Subject) -> Option<&Reading> {
        self.readings_of.get(&(workload, subject))?.get(&round)
    }

    /// Sums up a figure over the rounds that have it.
    pub fn over_rounds(&self, figure: impl Fn(usize) -> Option<f64>) -> Option<Spread> {
        Spread::of((0..self.rounds).filter_map(figure))
    }

    /// Measure A in a round: wall time that the subject adds to an operation.
    pub fn added(&self, round: usize, workload: Workload, subject: Subject) -> Option<f64> {
        let with = self.reading(round, workload, subject)?.wall_ns;
        Some(with - self.reading(round, workload, Subject::Nothing)?.wall_ns)
    }

    /// Wall time of an operation.
    pub fn wall(&self, round: usize, workload: Workload, subject: Subject) -> Option<f64> {
        Some(self.reading(round, workload, subject)?.wall_ns)
    }

    /// Measure B in a round: run time of the programs at one operation, less that of empty programs
    /// at the same hooks.
    pub fn run_time(&self, round: usize, workload: Workload, subject: Subject) -> Option<f64> {
        let floor = match workload {
            Workload::Syscall => Empty::Syscalls,
            Workload::PingPong | Workload::PingPongAcross => Empty::Scheduler,
            Workload::Datagram | Workload::Segment => Empty::Packets,
        };
        let floor = &self
            .reading(round, workload, Subject::Empty(floor))?
            .programs;
        let programs = &self.reading(round, workload, subject)?.programs;
        if programs.is_empty() {
            return None;
        }
        programs
            .iter()
            .map(|program| Some(program.run_ns - reading_of_empty(floor, program)?))
            .sum()
    }

    /// Runs of further programs of the subject at one operation in a round.
    pub fn other_runs(&self, round: usize, workload: Workload, subject: Subject) -> Option<f64> {
        Some(self.reading(round, workload, subject)?.other_runs)
    }

    /// What the subject counted in a round, in per cent of what was done.
    pub fn seen(&self, round: usize, workload: Workload, subject: Subject) -> Option<f64> {
        Some(100.0 * self.reading(round, workload, subject)?.seen?)
    }

    /// Processor time of the subject's own process in a round, in per cent of one CPU.
    pub fn cpu(&self, round: usize, workload: Workload, subject: Subject) -> Option<f64> {
        Some(100.0 * self.reading(round, workload, subject)?.cpu?)
    }

    /// The readings of what our probes counted: the share of what was done that is farthest from
    /// all, and all losses.
    pub fn counted(&self) -> Option<(f64, u64)> {
        let all = self.readings_of.values().flat_map(HashMap::values);
        all.filter_map(|reading| Some((reading.seen?, reading.lost?)))
            .reduce(|(share, lost), (other, more)| {
                (if other < share { other } else { share }, lost + more)
            })
    }
}

/// What the statistics show for an empty program at the hook of this one.
///
/// Programs of all tools are named after their hook. Where one is not, the mean of the empty
/// programs stands in.
fn reading_of_empty(floor: &[Cost], program: &Cost) -> Option<f64> {
    const HOOKS: [&str; 6] = ["enter", "exit", "wakeup", "switch", "egress", "ingress"];
    let hook = HOOKS.iter().find(|hook| program.name.contains(**hook));
    let same = hook.and_then(|hook| floor.iter().find(|empty| empty.name.contains(hook)));
    match same {
        Some(empty) => Some(empty.run_ns),
        None => Some(Spread::of(floor.iter().map(|empty| empty.run_ns))?.median),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::subject::Ours;

    fn reading(wall_ns: f64, programs: &[(&str, f64)]) -> Reading {
        let cost = |(name, run_ns): &(&str, f64)| Cost {
            name: (*name).into(),
            run_ns: *run_ns,
            runs: 1,
        };
        Reading {
            wall_ns,
            programs: programs.iter().map(cost).collect(),
            other_runs: 0.0,
            seen: None,
            lost: None,
            cpu: None,
        }
    }

    #[test]
    fn figures_are_differences_within_a_round() {
        let mut board = Board::default();
        let (empty, ours) = (Subject::Empty(Empty::Syscalls), Subject::Ours(Ours::Exact));
        for (round, noise) in [(0, 0.0), (1, 1000.0)] {
            let w = Workload::Syscall;
            board.add(round, w, Subject::Nothing, reading(100.0 + noise, &[]));
            let floor = reading(
                160.0 + noise,
                &[("empty_enter", 30.0), ("empty_exit", 40.0)],
            );
            board.add(round, w, empty, floor);
            let programs = [("sys_exit", 100.0), ("sys_enter", 70.0)];
            board.add(round, w, ours, reading(280.0 + noise, &programs));
        }
        let ratio = board.over_rounds(|round| {
            let added = board.added(round, Workload::Syscall, ours)?;
            Some(added / board.added(round, Workload::Syscall, empty)?)
        });
        assert_eq!(ratio.map(|ratio| (ratio.min, ratio.max)), Some((3.0, 3.0)));
        assert_eq!(board.run_time(1, Workload::Syscall, ours), Some(100.0));
        assert_eq!(board.run_time(2, Workload::Syscall, ours), None);
    }
}
