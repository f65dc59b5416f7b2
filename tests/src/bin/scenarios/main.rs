//! `nodeprobe-scenarios`: real problems, made by real programs.
//!
//! Each scenario has programs of Debian make a problem, runs nodeprobe as a user would, and checks what it names against a
//! source outside of it: a counter of the kernel, the program's own log, another tool. `cargo xtask scenarios` runs it.

mod accept_queue;
mod dns;
mod fork_storm;
mod lock_convoy;
mod lossy_link;
mod names;
mod noisy_neighbour;
mod pod_node;
mod quota;
mod rig;
mod scenario;
mod slow_disk;
mod table;

use std::process::ExitCode;

use scenario::{Outcome, Scenario};

/// All scenarios, in the order in which they run.
const SCENARIOS: &[Scenario] = &[
    noisy_neighbour::SCENARIO,
    quota::SCENARIO,
    lock_convoy::SCENARIO,
    fork_storm::ENOENT,
    fork_storm::FORKS,
    dns::SLOW,
    dns::DEAD,
    dns::FLOOD,
    lossy_link::SCENARIO,
    accept_queue::SCENARIO,
    slow_disk::SCENARIO,
    pod_node::SCENARIO,
    names::RUNTIME_RESTART,
    names::RENAME,
];

const HELP: &str = "usage: nodeprobe-scenarios [--list] [NAME ...]\n\n\
    Runs the scenarios whose names contain one of NAME, or all. Exits with status 1 if an answer is wrong, or if one is\n\
    right that is listed as an expected failure.\n";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        table::print(HELP);
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = args
        .iter()
        .find(|arg| arg.starts_with('-') && *arg != "--list")
    {
        eprintln!("unknown option {unknown}\n{HELP}");
        return ExitCode::from(2);
    }
    let names: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |scenario: &&Scenario| {
        names.is_empty() || names.iter().any(|name| scenario.name.contains(*name))
    };
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let known: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        eprintln!(
            "no scenario is called like that; there are: {}",
            known.join(", ")
        );
        return ExitCode::from(2);
    }
    if args.iter().any(|arg| arg == "--list") {
        table::print(&table::list(&chosen));
        return ExitCode::SUCCESS;
    }
    // Containers and CPUs of other tests would be part of the problem.
    let _alone = tests::lock::alone();
    let mut outcomes = Vec::new();
    for scenario in chosen {
        eprintln!("{}: {}", scenario.name, scenario.question);
        let outcome = scenario.run();
        table::print(&table::one(scenario, &outcome));
        outcomes.push(outcome);
    }
    table::print(&table::summary(&outcomes));
    if outcomes.iter().all(Outcome::is_good) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
