//! Which subjects are measured under which workload, and in which order.

use std::collections::HashSet;

use anyhow::Result;
use probe_user::loader::Kernel;

use super::{
    board::Board,
    programs, reading,
    subject::{Empty, Observer, Ours, Peer, Subject},
    workload::Workload,
};

/// Workloads with their subjects.
pub const MATRIX: &[(Workload, &[Subject])] = &[
    (
        Workload::Syscall,
        &[
            Subject::Nothing,
            Subject::Empty(Empty::Syscalls),
            Subject::Empty(Empty::Clocks),
            Subject::Ours(Ours::Counts),
            Subject::Ours(Ours::Sampled),
            Subject::Ours(Ours::Exact),
            Subject::Peer(Peer::Syscount),
            Subject::Peer(Peer::SyscountLatency),
            Subject::Peer(Peer::BpftraceCount),
            Subject::Peer(Peer::BpftraceHistogram),
        ],
    ),
    (Workload::PingPong, SCHEDULER),
    (Workload::PingPongAcross, SCHEDULER),
    (Workload::Datagram, PACKETS),
    (Workload::Segment, PACKETS),
];

const PACKETS: &[Subject] = &[
    Subject::Nothing,
    Subject::Empty(Empty::Packets),
    Subject::Ours(Ours::Flows),
    Subject::Observer(Observer::Tcpdump),
    Subject::Observer(Observer::Softflowd),
    Subject::Observer(Observer::Argus),
    Subject::Observer(Observer::Pmacctd),
    Subject::Observer(Observer::Bpftrace),
];

const SCHEDULER: &[Subject] = &[
    Subject::Nothing,
    Subject::Empty(Empty::Scheduler),
    Subject::Ours(Ours::Scheduler),
    Subject::Peer(Peer::Runqlat),
    Subject::Peer(Peer::BpftraceRunqlat),
];

/// Takes all readings of the workloads that are `wanted`, `rounds` times. What cannot be measured is noted on the board and left out
/// from then on.
///
/// # Errors
///
/// If the kernel does not tell which programs it has.
pub fn run(
    rounds: usize,
    kernel: &Kernel,
    wanted: impl Fn(Workload) -> bool,
    board: &mut Board,
) -> Result<()> {
    let mut missing: HashSet<(Workload, Subject)> = HashSet::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for (workload, subjects) in MATRIX.iter().filter(|(workload, _)| wanted(*workload)) {
            // Nobody is always first, and nobody always comes after the same one's detaching.
            let first = round * 3 % subjects.len();
            for subject in subjects[first..].iter().chain(&subjects[..first]) {
                if missing.contains(&(*workload, *subject)) {
                    continue;
                }
                let others = programs::tracing()?;
                match reading::take(*subject, *workload, kernel) {
                    Ok(reading) => board.add(round, *workload, *subject, reading),
                    Err(error) => {
                        missing.insert((*workload, *subject));
                        // The verifier's log is long.
                        let reason = format!("{error:#}")
                            .lines()
                            .next()
                            .unwrap_or_default()
                            .to_owned();
                        board.miss(*workload, *subject, reason);
                    }
                }
                board.disturbed += usize::from(programs::tracing()? != others);
                board.readings += 1;
            }
        }
    }
    Ok(())
}
