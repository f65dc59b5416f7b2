//! A program that does a known amount of known things, to compare measurements with.
//!
//! It uses nothing but `std` and is linked statically, so that it runs in an empty container. Its
//! thread name tells how far it is: `np-ready` waits for the first SIGUSR1, `np-work` works,
//! `np-done` holds until the second one. That can be read from the host for every runtime. Each
//! command ends by printing what it did as one JSON object.

mod blocking;
mod calls;
mod compat;
mod cpu;
mod ending;
mod faults;
mod flood;
mod garbage;
mod net;
mod options;
mod resolver;
mod restart;
mod site;
mod sockets;
mod stage;
mod sys;

use std::process::ExitCode;

use options::Options;

/// What a command did, as a JSON object; or what went wrong.
type Done = Result<String, Box<dyn std::error::Error>>;

type Command = fn(&Options) -> Done;

/// Every command: its name, its options, and what it does.
const COMMANDS: &[(&str, &str, Command)] = &[
    (
        "syscalls",
        "--calls N [--errors M] [--other K] [--threads T]",
        calls::syscalls,
    ),
    ("steady", "--per-second N --seconds S", calls::steady),
    ("invalid", "--first N --last N", flood::invalid),
    ("flood", "--numbers N --errnos N", flood::flood),
    ("processes", "--count N", flood::processes),
    ("sleep", "[--calls N] [--ms MS]", calls::sleep),
    ("pingpong", "--rounds N [--cpu C]", cpu::pingpong),
    ("threads", "--count N [--ms MS]", cpu::threads),
    ("spin", "--seconds S [--cpu C]", cpu::spin),
    (
        "victim",
        "--seconds S [--cpu C] [--burst-ms MS] [--pause-ms MS]",
        cpu::victim,
    ),
    ("blocked", "", blocking::blocked),
    (
        "move-cgroup",
        "--procs FILE [--calls N]",
        blocking::move_cgroup,
    ),
    (
        "exit-in-call",
        "[--rounds N] [--threads T]",
        ending::exit_in_call,
    ),
    ("restart", "[--rounds N]", restart::restart),
    ("compat", "--calls N", compat::compat),
    (
        "serve",
        "[--host A] --port P --connections N [--answer BYTES] [--procs FILE] [--v6]",
        net::serve,
    ),
    (
        "connect",
        "[--host A] --port P --connections N [--send BYTES] [--open] [--v6]",
        net::connect,
    ),
    (
        "refused",
        "[--host A] --port P --connections N [--v6]",
        net::refused,
    ),
    ("echo", "[--host A] --port P --packets N [--v6]", net::echo),
    (
        "ask",
        "[--host A] --port P --packets N [--bytes B] [--v6]",
        net::ask,
    ),
    (
        "name-server",
        "[--host A] --port P --packets N",
        net::name_server,
    ),
    ("look-up", "[--host A] --port P --packets N", net::look_up),
    (
        "name-server-tcp",
        "[--host A] --port P --packets N --style whole|split|together",
        resolver::serve_tcp,
    ),
    (
        "look-up-tcp",
        "[--host A] --port P --packets N --style whole|split|together",
        resolver::look_up_tcp,
    ),
    (
        "attempts",
        "[--host A] --port P --connections N",
        faults::attempts,
    ),
    ("full", "[--host A] --port P", faults::full),
    (
        "turn-away",
        "[--host A] --port P --connections N",
        faults::turn_away,
    ),
    (
        "resets",
        "[--host A] --port P --connections N [--send BYTES]",
        faults::resets,
    ),
    (
        "ask-in-vain",
        "[--host A] --port P --packets N",
        faults::ask_in_vain,
    ),
    ("share", "--port P", sockets::share),
    (
        "hand-over",
        "[--host A] --port P --procs FILE --send BYTES",
        sockets::hand_over,
    ),
    (
        "scatter",
        "--port P --peers N --packets N [--bytes B]",
        sockets::scatter,
    ),
    ("gather", "--port P", sockets::gather),
    (
        "burst",
        "[--host A] --port P --connections N --per-second N [--send BYTES]",
        sockets::burst,
    ),
    ("garbage", "--rounds N [--random N]", garbage::garbage),
    (
        "evil-names",
        "[--host A] --port P --packets N",
        garbage::evil_names,
    ),
    ("site", "--port P [--answer BYTES]", site::site),
    (
        "visit",
        "--port P --to ADDRESS,... [--connections N] [--send BYTES] [--bulk BYTES] [--packets N] [--bytes B] [--pings N]",
        site::visit,
    ),
    ("crowd", "--port P --spare K", net::crowd),
    ("pause", "", |_| Ok(stage::wait_for_end())),
];

/// Commands that have something in flight before they are ready, and say themselves when they are.
const READY_BY_THEMSELVES: &[&str] = &[
    "blocked",
    "serve",
    "echo",
    "name-server",
    "name-server-tcp",
    "site",
    "full",
    "turn-away",
    "share",
    "gather",
    "evil-names",
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let Some((_, _, command)) = COMMANDS.iter().find(|(known, _, _)| *known == name) else {
        usage();
        return ExitCode::from(2);
    };
    match Options::parse(args).and_then(|options| run(&name, *command, &options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workload {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, command: Command, options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    stage::prepare()?;
    let ready_by_itself = READY_BY_THEMSELVES.contains(&name) || options.has("--open");
    if options.has("--go") && !ready_by_itself {
        stage::ready_and_wait()?;
    }
    let done = command(options)?;
    println!("{done}");
    stage::finish(options)
}

fn usage() {
    eprintln!("usage: workload COMMAND [OPTIONS] [--go] [--hold] [--hold-ms MS]");
    for (name, options, _) in COMMANDS {
        eprintln!("  {name} {options}");
    }
    eprintln!("--go waits for SIGUSR1 before the work, --hold for another one after it");
}
