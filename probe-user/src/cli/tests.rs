use std::time::Duration;

use clap::CommandFactory as _;

mod grammar;

use super::{
    args::{By, OutputFormat},
    *,
};
use crate::select::Rule;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_command_line_is_consistent_and_every_command_has_examples() {
    Cli::command().debug_assert();
    have_examples(&Cli::command());
}

/// All commands below this one that have none below them.
fn have_examples(command: &clap::Command) {
    for below in command.get_subcommands() {
        have_examples(below);
    }
    let help = command.get_after_help().map(ToString::to_string);
    let has_examples = help.is_some_and(|help| help.contains("Examples:"));
    assert!(
        has_examples || command.has_subcommands(),
        "{}",
        command.get_name()
    );
}

#[test]
fn tools_take_the_common_flags() {
    let cli =
        parse("nodeprobe syscalls -d 1m30s -o ndjson -c web --by container,syscall -n 5").unwrap();
    let Command::Syscalls(args) = cli.command else {
        panic!("{cli:?}")
    };
    assert_eq!(args.common.duration, Some(Duration::from_secs(90)));
    assert_eq!(args.common.output, OutputFormat::Ndjson);
    assert_eq!(args.common.limit(), Some(5));
    assert_eq!(args.common.container, ["web"]);
    assert!(args.by_syscall());
    assert_eq!(args.owner(), Ok(Some(By::Container)));
}

#[test]
fn rows_have_one_owner_at_most() {
    let owner = |by: &str| match parse(&format!("nodeprobe syscalls --by {by}"))
        .unwrap()
        .command
    {
        Command::Syscalls(args) => args.owner(),
        other => panic!("{other:?}"),
    };
    assert_eq!(owner("syscall"), Ok(None));
    assert_eq!(owner("process,syscall"), Ok(Some(By::Process)));
    assert!(owner("process,container").is_err());
    assert!(owner("syscall,syscall,syscall").is_err());
}

#[test]
fn nonsense_is_refused() {
    for line in [
        "nodeprobe",
        "nodeprobe nothing",
        "nodeprobe runqlat --by syscall",
        "nodeprobe offcpu --pid 0",
        "nodeprobe offcpu --top 0",
        "nodeprobe syscalls --duration 0s",
        "nodeprobe syscalls --by host",
        "nodeprobe flows --transport nothing",
        "nodeprobe flows --transport 256",
        "nodeprobe flows --port 65536",
        "nodeprobe flows --cidr 10.0.0.0/33",
        "nodeprobe flows --by process",
        "nodeprobe tcp --connections --interval 1s",
        "nodeprobe dns --by syscall",
        "nodeprobe agent --set limits.series",
        "nodeprobe metrics -o xml",
        "nodeprobe metrics --duration 1s --address x:1",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn flags_of_the_agent_become_keys_of_the_configuration() {
    let cli = parse("nodeprobe agent --listen [::1]:0 --debug --set limits.series=7 --flow-log -")
        .unwrap();
    let Command::Agent(args) = cli.command else {
        panic!("{cli:?}")
    };
    let arguments = args.sources().arguments;
    assert!(arguments.contains(&("listen".into(), "[::1]:0".into())));
    assert!(arguments.contains(&("debug".into(), "true".into())));
    assert!(arguments.contains(&("flows.log".into(), "-".into())));
    assert!(arguments.contains(&("limits.series".into(), "7".into())));
}

#[test]
fn flows_are_narrowed_by_transport_port_network_and_rule() {
    let line = "nodeprobe flows --limit 7 --transport udp,132 --port 53,400-500 --cidr 10.0.0.0/8 \
                --src fd00::1 --exclude port=53 --exclude cidr=127.0.0.0/8 --by peer";
    let cli = parse(line).unwrap();
    let Command::Flows(args) = cli.command else {
        panic!("{cli:?}")
    };
    assert_eq!(args.common.limit(), Some(7));
    assert_eq!(args.by, args::FlowsBy::Peer);
    let rules = args.narrow.rules(&args.transport);
    let texts = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect::<Vec<_>>();
    assert_eq!(
        texts(&rules.include),
        ["cidr=10.0.0.0/8 src=fd00::1/128 port=53,400-500 transport=udp,sctp"]
    );
    assert_eq!(texts(&rules.exclude), ["port=53", "cidr=127.0.0.0/8"]);
    for bad in ["--exclude udp", "--cidr 10.0.0.0/40", "--port 70000"] {
        assert!(parse(&format!("nodeprobe flows {bad}")).is_err(), "{bad}");
    }
}
