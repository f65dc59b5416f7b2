//! One grammar for the flags of all commands.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command, CommandFactory as _, builder::ValueRange};

use super::super::{Cli, CliError, run};
use crate::cli::Kind;

/// Commands that measure for a while.
const TOOLS: [&str; 7] = [
    "syscalls",
    "runqlat",
    "offcpu",
    "flows",
    "tcp",
    "dns",
    "policy audit",
];

/// A value of each flag that a measuring tool may have; `None` for switches.
const VALUES: [(&str, Option<&str>); 31] = [
    ("duration", Some("5")),
    ("interval", Some("1s")),
    ("output", Some("json")),
    ("container", Some("web,db")),
    ("namespace", Some("shop")),
    ("cgroup", Some("/sys/fs/cgroup/a")),
    ("limit", Some("7")),
    ("pid", Some("1,2")),
    ("strict", None),
    ("by", None),
    ("sort", None),
    ("errors", None),
    ("runtime", Some("docker=/run/docker.sock")),
    ("config", Some("np.toml")),
    ("histogram", None),
    ("transport", Some("tcp,udp")),
    ("port", Some("443,8000-8099")),
    ("cidr", Some("10.0.0.0/8")),
    ("src", Some("10.0.0.0/8")),
    ("dst", Some("10.0.0.0/8")),
    ("exclude", Some("port=53")),
    ("connections", None),
    ("follow", None),
    ("server", Some("10.0.0.0/8")),
    ("timeout", Some("5s")),
    ("manifests", Some("k8s")),
    ("pending", Some("next")),
    ("grace", Some("0")),
    ("default-namespace", Some("shop")),
    ("hostnetwork", Some("ignore")),
    ("ipblock-pods", Some("false")),
];

/// All commands that have none below them, by the words that call them.
fn commands() -> BTreeMap<String, Command> {
    fn collect(command: &Command, path: &str, all: &mut BTreeMap<String, Command>) {
        for below in command
            .get_subcommands()
            .filter(|it| it.get_name() != "help")
        {
            let path = format!("{path} {}", below.get_name()).trim().to_owned();
            if below.has_subcommands() {
                collect(below, &path, all);
            } else {
                all.insert(path, below.clone());
            }
        }
    }
    let mut all = BTreeMap::new();
    let mut cli = Cli::command();
    cli.build();
    collect(&cli, "", &mut all);
    all
}

fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_own = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    let named = |arg: &&Arg| arg.get_long().is_some();
    command.get_arguments().filter(is_own).filter(named)
}

fn long(arg: &Arg) -> &str {
    arg.get_long().unwrap()
}

fn takes_values(arg: &Arg) -> bool {
    arg.get_num_args()
        .is_some_and(|range: ValueRange| range.takes_values())
}

#[test]
fn a_flag_has_one_short_form_and_one_kind_of_value_in_all_commands() {
    let mut longs: BTreeMap<String, (String, Option<char>, Vec<String>)> = BTreeMap::new();
    let mut shorts: BTreeMap<char, String> = BTreeMap::new();
    for (path, command) in commands() {
        for arg in flags(&command) {
            let names = arg.get_value_names().unwrap_or_default();
            let names: Vec<String> = if takes_values(arg) {
                names.iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            };
            let entry = (path.clone(), arg.get_short(), names);
            let known = longs.entry(long(arg).to_owned()).or_insert(entry.clone());
            assert_eq!(
                (known.1, &known.2),
                (entry.1, &entry.2),
                "--{} of `{}` and of `{path}`",
                long(arg),
                known.0
            );
            for short in arg.get_short_and_visible_aliases().unwrap_or_default() {
                let known = shorts.entry(short).or_insert_with(|| long(arg).to_owned());
                assert_eq!(known, long(arg), "-{short} of `{path}`");
            }
        }
    }
    // Hidden, and for nothing else.
    assert_eq!(shorts.get(&'n'), None);
}

#[test]
fn every_measuring_tool_has_the_common_flags() {
    let commands = commands();
    for path in TOOLS {
        let has: Vec<&str> = flags(&commands[path]).map(long).collect();
        for flag in [
            "duration",
            "interval",
            "output",
            "container",
            "namespace",
            "cgroup",
            "limit",
            "sort",
            "strict",
        ] {
            assert!(has.contains(&flag), "{path} --{flag}");
        }
        let positional: Vec<_> = commands[path].get_positionals().map(Arg::get_id).collect();
        assert_eq!(positional, ["every", "count"], "{path}");
    }
}

#[test]
fn every_flag_of_a_measuring_tool_is_accepted_with_a_value_of_its_kind() {
    let commands = commands();
    let mut unused: Vec<&str> = VALUES.iter().map(|(flag, _)| *flag).collect();
    for path in TOOLS {
        for arg in flags(&commands[path]) {
            let flag = long(arg);
            let value = VALUES.iter().find(|(name, _)| *name == flag);
            let (_, value) = value.unwrap_or_else(|| panic!("no value for --{flag} of {path}"));
            unused.retain(|it| *it != flag);
            let choices = arg.get_possible_values();
            let values: Vec<String> = match value {
                Some(value) => vec![(*value).to_owned()],
                None => choices.iter().map(|it| it.get_name().to_owned()).collect(),
            };
            if takes_values(arg) {
                assert!(!values.is_empty(), "{path} --{flag} lists no values");
            }
            let values = if takes_values(arg) {
                values
            } else {
                vec![String::new()]
            };
            for value in values {
                accepts(path, arg, &value);
                if matches!(arg.get_action(), ArgAction::Append) {
                    accepts(path, arg, &format!("{value} --{flag} {value}"));
                }
            }
        }
    }
    assert_eq!(unused, [""; 0], "no tool has these flags");
}

fn accepts(path: &str, arg: &Arg, value: &str) {
    use clap::Parser as _;
    let mut line = format!("nodeprobe {path} --{} {value}", long(arg));
    if path == "policy audit" && long(arg) != "manifests" {
        line.push_str(" --manifests k8s");
    }
    // Help lists these below a heading that says so.
    if arg.get_help_heading() == Some("With --connections or --follow") {
        line.push_str(" --connections");
    }
    let words = line.split(' ').filter(|word| !word.is_empty());
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("{line}: {error}");
    }
}

#[test]
fn a_flag_that_may_be_repeated_says_so() {
    for (path, command) in commands() {
        if !TOOLS.contains(&path.as_str()) {
            continue;
        }
        for arg in flags(&command).filter(|arg| matches!(arg.get_action(), ArgAction::Append)) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let says = help.contains("may be repeated") || help.contains("joined by a comma");
            assert!(says, "{path} --{}: {help}", long(arg));
        }
    }
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    use clap::Parser as _;
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn durations_and_counts_are_written_as_in_other_tools() {
    use std::time::Duration;
    let times = |line: &str| match parse(line).unwrap().command {
        super::super::Command::Runqlat(args) => (args.common.interval(), args.common.duration()),
        other => panic!("{other:?}"),
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(times("nodeprobe runqlat -d 5"), (None, seconds(5)));
    assert_eq!(times("nodeprobe runqlat 5"), (seconds(5), None));
    assert_eq!(times("nodeprobe runqlat 5 1"), (seconds(5), seconds(5)));
    assert_eq!(times("nodeprobe runqlat 1 10"), (seconds(1), seconds(10)));
    assert_eq!(
        times("nodeprobe runqlat 1 -d 10"),
        (seconds(1), seconds(10))
    );
    for line in [
        "nodeprobe runqlat 5 1 -d 10",
        "nodeprobe runqlat 5 -i 5",
        "nodeprobe runqlat 5 0",
        "nodeprobe tcp 5 --connections",
        "nodeprobe tcp -p 1",
        "nodeprobe tcp --port 1",
        "nodeprobe dns --pid 1",
        "nodeprobe syscalls -c ",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}

#[test]
fn an_order_that_the_rows_of_tcp_do_not_have_is_refused_with_those_that_they_have() {
    for (line, choice) in [
        ("nodeprobe tcp --sort bytes", "failures"),
        ("nodeprobe tcp --connections --sort failures", "bytes"),
    ] {
        let error: CliError = run(parse(line).unwrap()).unwrap_err();
        assert_eq!(error.kind, Kind::Usage, "{line}");
        assert!(error.report().contains(choice), "{}", error.report());
    }
}

/// Words of a line as a shell splits it, up to a pipe, a redirection or a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('|' | '>' | '<' | '#' | '&' | ';', None) => break,
            (' ', None) => {
                words.extend(Some(std::mem::take(&mut word)).filter(|it| !it.is_empty()))
            }
            _ => word.push(c),
        }
    }
    words.extend(Some(word).filter(|it| !it.is_empty()));
    words
}

#[test]
fn every_command_line_of_the_documentation_and_of_the_help_is_accepted() {
    use std::{fs, path::Path};
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = fs::read_dir(root.join("docs")).unwrap();
    let pages = pages.map(|page| page.unwrap().path());
    let pages = pages.filter(|page| page.extension().is_some_and(|it| it == "md"));
    let mut texts: Vec<String> = pages
        .chain([root.join("README.md")])
        .map(|page| fs::read_to_string(page).unwrap())
        .collect();
    let helps = commands().into_values();
    texts.extend(helps.filter_map(|it| it.get_after_help().map(ToString::to_string)));
    let mut found = 0;
    for line in texts.iter().flat_map(|text| text.lines()) {
        let line = line.trim();
        let command = line.strip_prefix("$ ").unwrap_or(line);
        let command = command.strip_prefix("sudo ").unwrap_or(command);
        // Two spaces part a command from what help says of it; prose begins with the name as well.
        let command = command.split("  ").next().unwrap_or_default();
        let words = words(command);
        let is_command = words.len() > 1
            && words[0] == "nodeprobe"
            && Cli::command().find_subcommand(&words[1]).is_some();
        if is_command {
            use clap::Parser as _;
            found += 1;
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{line}: {error}");
            }
        }
    }
    assert!(found > 30, "only {found} command lines were found");
}
