use std::{os::unix::fs::PermissionsExt as _, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::config::{Enabled, LogLevel, print_default};

/// Loads a file with this text; faults come back as lines without the directory.
fn load_text(text: &str) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("np.toml");
    fs::write(&path, text).unwrap();
    let sources = Sources {
        file: Some(path),
        ..Sources::default()
    };
    load(&sources).map_err(|error| match error {
        ConfigError::Faults(faults) => {
            let prefix = format!("{}/", dir.path().display());
            faults
                .iter()
                .map(|fault| fault.to_string().replace(&prefix, ""))
                .collect()
        }
        other => panic!("{other}"),
    })
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(a, b)| ((*a).into(), (*b).into()))
        .collect()
}

#[test]
fn an_empty_file_gives_the_defaults_with_the_host_name() {
    let config = load_text("").unwrap();
    assert!(!config.node.is_empty());
    assert_eq!(
        Config {
            node: String::new(),
            ..config
        },
        Config::default()
    );
}

#[test]
fn every_fault_is_reported_with_its_place() {
    let faults = load_text(
        "listen = \"nowhere\"\n\
         debug = \"yes\"\n\
         [probes.syscalls]\n\
         sample = 0\n\
           latency = \"some\"\n\
         [limits]\n\
         retain = 10\n\
         serie = 1\n\
         kernel_memory = \"1KiB\"\n",
    )
    .unwrap_err();
    let expected = [
        "np.toml:1:10: listen: must be an address such as \"127.0.0.1:9435\", \"localhost:9435\" or \":9435\", not \"nowhere\"",
        "np.toml:2:9: debug: must be true or false, not \"yes\"",
        "np.toml:4:10: probes.syscalls.sample: must be a whole number from 1 to 1048576, not 0",
        "np.toml:5:11: probes.syscalls.latency: must be \"off\" or \"sampled\" or \"exact\", not \"some\"",
        "np.toml:7:10: limits.retain: must be a duration such as \"1m30s\", from 0s to 1day, not 10",
        "np.toml:8:1: limits.serie: unknown key; did you mean `limits.series`?",
        "np.toml:9:17: limits.kernel_memory: must be a size such as \"64MiB\", from 4MiB to 16GiB, not \"1KiB\"",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn faults_of_syntax_and_of_values_are_reported_together() {
    let faults = load_text("listen = \ndebug = 1\n[limits\nseries = x\n").unwrap_err();
    assert!(
        faults.iter().any(|f| f.starts_with("np.toml:1:")),
        "{faults:#?}"
    );
    assert!(
        faults
            .iter()
            .any(|f| f.contains("debug: must be true or false, not 1")),
        "{faults:#?}"
    );
    assert!(
        faults.iter().any(|f| f.starts_with("np.toml:3:")),
        "{faults:#?}"
    );
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    for (text, expected) in [
        ("listn = 1", "did you mean `listen`?"),
        ("level = \"info\"", "did you mean `log.level`?"),
        ("[probes.syscall]\nenabled = \"auto\"", "unknown key"),
        ("[probes]\nsyscals = {}", "unknown key"),
        ("zzz = 1", "--print-config` shows all keys"),
        ("\"\" = 1", "unknown key"),
    ] {
        let faults = load_text(text).unwrap_err();
        assert!(faults[0].contains(expected), "{text}: {faults:?}");
    }
}

#[test]
fn a_section_given_as_a_value_says_so() {
    let faults = load_text("limits = 3").unwrap_err();
    assert_eq!(
        faults,
        ["np.toml:1:10: limits: is a section; write `[limits]` and its keys below"]
    );
}

#[test]
fn wrong_types_of_lists_and_tables_are_named() {
    let faults =
        load_text("[runtimes]\ndocker = [\"/a\", 3]\ncrio = \"/a\"\npodman = [\"a\"]").unwrap_err();
    assert_eq!(faults.len(), 3);
    assert!(
        faults
            .iter()
            .any(|f| f.contains("runtimes.docker: must be a list of absolute paths"))
    );
    let faults = load_text("[limits]\nseries_per_family = { a = -1 }").unwrap_err();
    assert!(
        faults[0].contains("`a` must be a whole number from 1"),
        "{faults:?}"
    );
}

#[test]
fn every_fault_of_every_rule_for_flows_is_reported() {
    let faults = load_text(
        "[flows]\n\
         include = [\"port=53\", \"port=99999 cidr=10.0.0.0/40\", \"colour=red\"]\n\
         exclude = \"port=53\"\n\
         ignore = [\"port=53\", \"container=web port=53\"]\n",
    )
    .unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:#?}");
    for (fault, parts) in faults.iter().zip([
        &[
            "np.toml:2:11: flows.include: ",
            "\"port=99999 cidr=10.0.0.0/40\": `99999` is no port",
            "`10.0.0.0/40` is no address or network",
            "\"colour=red\": `colour` is no condition",
        ][..],
        &["np.toml:3:11: flows.exclude: must be a list of rules"],
        &[
            "np.toml:4:10: flows.ignore: \"port=53 container=web\": the kernel knows cidr, port and transport only",
        ],
    ]) {
        for part in parts {
            assert!(fault.contains(part), "{part}: {fault}");
        }
    }
}

#[test]
fn rules_for_flows_have_a_form_for_variables() {
    let load_variable = |text: &str| {
        load(&Sources {
            environment: pairs(&[("NODEPROBE_FLOWS_EXCLUDE", text)]),
            ..Sources::default()
        })
    };
    let rules = load_variable("port=53 transport=udp;cidr=10.0.0.0/8,fd00::/8")
        .unwrap()
        .flows
        .log_rules
        .exclude;
    let texts: Vec<String> = rules.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["port=53 transport=udp", "cidr=10.0.0.0/8,fd00::/8"]);
    assert!(
        load_variable("")
            .unwrap()
            .flows
            .log_rules
            .exclude
            .is_empty()
    );
    assert!(load_variable("port=53;").is_err());
}

#[test]
fn a_cap_for_a_metric_that_is_none_is_a_fault() {
    let text = "[limits]\nseries_per_family = { syscall_total = 1, nodeprobe_syscalls_total = 2 }";
    let faults = load_text(text).unwrap_err();
    assert_eq!(
        faults,
        [
            "np.toml:2:21: limits.series_per_family: `syscall_total` is no metric; did you mean `syscalls_total`?"
        ]
    );
}

#[test]
fn the_command_line_stands_above_the_environment_and_that_above_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("np.toml");
    fs::write(
        &path,
        "collect_interval = \"1s\"\nnode = \"file\"\n[log]\nlevel = \"warn\"\n",
    )
    .unwrap();
    let config = load(&Sources {
        file: Some(path),
        environment: pairs(&[
            ("NODEPROBE_NODE", "environment"),
            ("NODEPROBE_LOG_LEVEL", "debug"),
            ("NODEPROBE_SERVICE_HOST", "10.0.0.1"),
            ("NODEPROBE_PROBES_SYSCALLS_ENABLED", "never"),
        ]),
        arguments: pairs(&[("log.level", "trace")]),
    })
    .unwrap();
    assert_eq!(config.collect_interval, Duration::from_secs(1));
    assert_eq!(config.node, "environment");
    assert_eq!(config.log.level, LogLevel::Trace);
    assert_eq!(config.probes.syscalls.enabled, Enabled::Never);
}

#[test]
fn faults_outside_of_the_file_name_their_source() {
    let error = load(&Sources {
        file: None,
        environment: pairs(&[("NODEPROBE_LIMITS_OWNERS", "many")]),
        arguments: pairs(&[("limits.sries", "1")]),
    })
    .unwrap_err()
    .to_string();
    assert!(
        error.starts_with("2 faults in the configuration\n"),
        "{error}"
    );
    assert!(
        error.contains("NODEPROBE_LIMITS_OWNERS: limits.owners: must be"),
        "{error}"
    );
    assert!(
        error.contains("command line: limits.sries: unknown key; did you mean"),
        "{error}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_a_way_out() {
    let load_path = |path: &Path| {
        load(&Sources {
            file: Some(path.into()),
            ..Sources::default()
        })
        .unwrap_err()
        .to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    let missing = load_path(&dir.path().join("none.toml"));
    assert!(
        missing.contains("none.toml") && missing.contains("--print-config"),
        "{missing}"
    );
    assert!(load_path(dir.path()).contains("not a regular file"));
    let binary = dir.path().join("binary");
    fs::write(&binary, [0xff, 0xfe, 0]).unwrap();
    assert!(load_path(&binary).contains("cannot read"));
    let large = dir.path().join("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(CONFIG_FILE + 1)
        .unwrap();
    assert!(load_path(&large).contains("larger than 1 MiB"));
    let secret = dir.path().join("secret");
    fs::write(&secret, "").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::File::open(&secret).is_err() {
        assert!(load_path(&secret).contains("cannot read"));
    }
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_refused(text in "[\\PC\n]{0,200}") {
        if let Err(faults) = load_text(&text) {
            prop_assert!(!faults.is_empty());
        }
    }

    #[test]
    fn a_damaged_configuration_is_loaded_or_refused(at in 0usize..8000, with in "\\PC{0,3}") {
        let mut text = print_default();
        let at = text.char_indices().map(|(i, _)| i).nth(at % text.chars().count()).unwrap();
        text.replace_range(at..=at, &with);
        if let Err(faults) = load_text(&text) {
            prop_assert!(!faults.is_empty());
        }
    }
}

#[test]
fn values_of_arguments_and_variables_may_be_written_as_in_a_file() {
    let loaded = |key: &str, text: &str| {
        load(&Sources {
            arguments: pairs(&[(key, text)]),
            ..Sources::default()
        })
        .map_err(|error| error.to_string())
    };
    for text in [
        r#"["/a.sock", "/b.sock"]"#,
        "['/a.sock','/b.sock']",
        "/a.sock,/b.sock",
    ] {
        let config = loaded("runtimes.docker", text).unwrap();
        let paths = ["/a.sock", "/b.sock"].map(std::path::PathBuf::from);
        assert_eq!(config.runtimes.docker, paths, "{text}");
    }
    assert_eq!(
        loaded("runtimes.docker", "[]")
            .unwrap()
            .runtimes
            .docker
            .len(),
        0
    );
    assert_eq!(loaded("node", r#""a""#).unwrap().node, "a");
    assert_eq!(
        loaded("log.level", r#""trace""#).unwrap().log.level,
        LogLevel::Trace
    );
    // Half a list is no list.
    assert!(loaded("runtimes.docker", r#"["/a.sock""#).is_err());
    let sources = Sources {
        environment: pairs(&[("NODEPROBE_RUNTIMES_DOCKER", r#"["/a.sock"]"#)]),
        ..Sources::default()
    };
    assert_eq!(load(&sources).unwrap().runtimes.docker.len(), 1);
}

#[test]
fn what_a_message_shows_as_an_example_is_accepted() {
    let refused = Sources {
        arguments: pairs(&[("runtimes.docker", "docker.sock")]),
        ..Sources::default()
    };
    let message = load(&refused).unwrap_err().to_string();
    let (_, rest) = message.split_once("such as ").unwrap();
    let (example, _) = rest.split_once(", not").unwrap();
    let accepted = Sources {
        arguments: pairs(&[("runtimes.docker", example)]),
        ..Sources::default()
    };
    assert!(load(&accepted).is_ok(), "{example}");
}

#[test]
fn addresses_to_listen_at_may_leave_out_or_name_the_host() {
    let listen = |text: &str| {
        load(&Sources {
            arguments: pairs(&[("listen", text)]),
            ..Sources::default()
        })
        .map(|config| config.listen.to_string())
        .map_err(|error| error.to_string())
    };
    for (text, expected) in [
        (":9435", "0.0.0.0:9435"),
        ("localhost:9435", "127.0.0.1:9435"),
        ("[::1]:9435", "[::1]:9435"),
        ("[::]:0", "[::]:0"),
        ("10.0.0.1:1", "10.0.0.1:1"),
    ] {
        assert_eq!(listen(text).unwrap(), expected, "{text}");
    }
    for text in [
        "",
        ":",
        ":x",
        "9435",
        "node-7:9435",
        "localhost",
        "localhost:99999",
        "[::1]",
    ] {
        let why = listen(text).unwrap_err();
        assert!(why.contains("localhost:9435"), "{text}: {why}");
    }
}
