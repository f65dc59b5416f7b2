//! `nodeprobe-bench`: what the probes cost, beside empty programs and other tools.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use probe_user::{kernel::Roots, session};
use tests::{
    bench::{
        agent, board::Board, flows, goals, machine::Machine, matrix, policy, render::Report,
        workload::Workload,
    },
    lock,
};

/// Measures what nodeprobe costs. Needs root; the machine should do nothing else.
#[derive(Parser)]
#[command(name = "nodeprobe-bench")]
struct Args {
    /// How often everything is measured
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Three rounds and a short look at the idle agent
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Measure these parts alone
    #[arg(long, value_enum, value_delimiter = ',', conflicts_with = "without")]
    only: Vec<Part>,
    /// Leave out these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<Part>,
    /// Form of the report
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Fail if a goal is missed whose figure holds on a busy machine
    #[arg(long)]
    gate: bool,
    /// By what share such a goal may be missed
    #[arg(long, default_value_t = 0.15)]
    tolerance: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Programs at system calls and switches
    Programs,
    /// Programs at packets, beside tools that capture
    Packets,
    /// The agent as a whole
    Agent,
    /// Tables of 100,000 and a million flows, and records
    Flows,
    /// Policies of a large cluster
    Policy,
}

impl Args {
    fn wants(&self, part: Part) -> bool {
        !self.without.contains(&part) && (self.only.is_empty() || self.only.contains(&part))
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// Tables in Markdown
    Table,
    /// One JSON object
    Json,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let roots = Roots::default();
    let kernel = session::examine(&roots).context("look at the kernel")?;
    let rounds = if args.quick {
        3
    } else {
        usize::from(args.rounds)
    };
    // Integration tests attach programs of their own.
    let _alone = lock::alone();
    let machine = Machine::read(&roots, &kernel);
    let mut board = Board::default();
    let wanted = |workload: Workload| {
        let part = if workload.is_of_packets() {
            Part::Packets
        } else {
            Part::Programs
        };
        args.wants(part)
    };
    matrix::run(rounds, &kernel, wanted, &mut board)?;
    const LEFT_OUT: &str = "left out";
    let agent = if args.wants(Part::Agent) {
        eprintln!("agent");
        let idle = Duration::from_secs(if args.quick { 10 } else { 30 });
        agent::measure(rounds, rounds, idle).map_err(|error| format!("{error:#}"))
    } else {
        Err(LEFT_OUT.to_owned())
    };
    let flows = if args.wants(Part::Flows) {
        eprintln!("flows");
        let window = Duration::from_secs(if args.quick { 20 } else { 60 });
        flows::measure(&kernel, rounds, window).map_err(|error| format!("{error:#}"))
    } else {
        Err(LEFT_OUT.to_owned())
    };
    let policies = args
        .wants(Part::Policy)
        .then(|| policy::measure(rounds))
        .transpose()?;
    let goals = goals::all(
        &board,
        agent.as_ref().ok(),
        flows.as_ref().ok(),
        policies.as_ref(),
    );
    let report = Report {
        machine: &machine,
        board: &board,
        agent: &agent,
        flows: &flows,
        goals: &goals,
    };
    match args.output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{:#}", report.json()),
    }
    let failed = |goal: &&goals::Goal| goal.steady && goal.is_met(args.tolerance) == Some(false);
    let failed: Vec<_> = goals.iter().filter(failed).collect();
    if args.gate && !failed.is_empty() {
        for goal in failed {
            eprintln!("missed: {} {}", goal.id, goal.quantity);
        }
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
