//! What operators and hosts do wrong: a clear message, the right exit code, or less data; never a
//! panic.

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixListener, process::CommandExt as _},
    path::Path,
    process::Command,
    thread,
};

use anyhow::Result;
use tests::{
    cgroup::Cgroup,
    http,
    isolate::Isolate as _,
    lock::alone,
    nodeprobe::{Agent, binary, command, free_port, run},
    scrape::Scrape,
    skip::unless_available,
    wait::{LONG, poll},
    workload::Workload,
};

const FAILURE: i32 = 1;
const USAGE: i32 = 2;
const PRIVILEGE_OR_KERNEL: i32 = 3;

/// Runs nodeprobe, checks its exit code and that it did not panic, and returns what it said on
/// standard error.
fn refused(args: &str, command: Command, expected: i32) -> Result<String> {
    let (code, stdout, stderr) = run(args, command)?;
    assert_eq!(
        code, expected,
        "`nodeprobe {args}` printed {stdout}{stderr}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(!stderr.trim().is_empty(), "`nodeprobe {args}` says why");
    Ok(stderr)
}

/// Runs the agent with this configuration, which it must refuse.
fn refused_config(content: &str) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), content)?;
    refused(
        &format!(
            "agent --listen {} --config {}",
            free_port()?,
            file.path().display()
        ),
        command(),
        USAGE,
    )
}

#[test]
fn unknown_flags_and_commands_are_usage_errors() -> Result<()> {
    for args in [
        "agent --nonsense",
        "nonsense",
        "syscalls --duration soon",
        "syscalls -o xml",
        "agent --listen nowhere",
    ] {
        refused(args, command(), USAGE)?;
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_no_toml_is_refused_with_its_place() -> Result<()> {
    let said = refused_config("[agent\nlisten = ")?;
    assert!(said.contains("line 1") || said.contains(":1:"), "{said}");
    Ok(())
}

#[test]
fn all_unknown_keys_are_reported_at_once() -> Result<()> {
    let said = refused_config("first_nonsense = 1\n\n[second_nonsense]\nx = 2\n")?;
    assert!(
        said.contains("first_nonsense") && said.contains("second_nonsense"),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_configuration_that_is_missing_or_binary_is_refused() -> Result<()> {
    let listen = free_port()?;
    let said = refused(
        &format!("agent --listen {listen} --config /nonexistent/nodeprobe.toml"),
        command(),
        USAGE,
    )?;
    assert!(said.contains("/nonexistent/nodeprobe.toml"), "{said}");
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), [0u8, 255, 254, 10, 61])?;
    refused(
        &format!("agent --listen {listen} --config {}", file.path().display()),
        command(),
        USAGE,
    )?;
    Ok(())
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let _alone = alone();
    let agent = Agent::start("")?;
    let said = refused(
        &format!("agent --listen {} --duration 30s", agent.address()),
        command(),
        FAILURE,
    )?;
    assert!(said.contains(&agent.address().to_string()), "{said}");
    assert_eq!(agent.get("/readyz")?.status, 200);
    Ok(())
}

#[test]
fn garbage_on_http_disturbs_nobody() -> Result<()> {
    let _alone = alone();
    let mut agent = Agent::start("")?;
    let long = format!(
        "GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    let requests: [&[u8]; 6] = [
        b"\x00\xff\x16\x03\x01\x02",
        b"GET\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        long.as_bytes(),
        b"GET /%00%ff HTTP/1.0\r\n\r\n",
    ];
    for request in requests {
        // A reset while the rest is being sent is an answer, too.
        if let Ok(answer) = http::send(agent.address(), request) {
            assert!(
                !answer.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(request)
            );
        }
    }
    // Connections that say nothing, or half of something, and stay.
    let silent: Vec<_> = (0..200)
        .filter_map(|_| TcpStream::connect(agent.address()).ok())
        .collect();
    for mut stream in &silent {
        // It may have been closed already.
        stream.write_all(b"GET /met").ok();
    }
    drop(silent);
    // While it still looks at those it may be busy, and says so.
    let scrape = poll(LONG, "a scrape after the garbage", || agent.scrape().ok())?;
    assert!(scrape.has("nodeprobe_build_info"));
    assert!(!agent.has_ended());
    let (status, _, log) = agent.terminate()?;
    assert!(status.success() && !log.contains("panicked"), "{log}");
    Ok(())
}

#[test]
fn without_privileges_the_needed_ones_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let copy = folder.path().join("nodeprobe");
    fs::copy(binary(), &copy)?;
    for args in [
        "syscalls --duration 1s",
        "runqlat --duration 1s",
        "agent --listen 127.0.0.1:0 --duration 1s",
    ] {
        let mut command = Command::new(&copy);
        command.uid(65534).gid(65534).current_dir("/");
        let said = refused(args, command, PRIVILEGE_OR_KERNEL)?;
        assert!(said.contains("CAP_") || said.contains("root"), "{said}");
    }
    Ok(())
}

#[test]
fn without_btf_the_kernel_option_is_named() -> Result<()> {
    let _alone = alone();
    let mut command = command();
    command.without("/sys/kernel/btf");
    let said = refused("syscalls --duration 1s", command, PRIVILEGE_OR_KERNEL)?;
    assert!(said.contains("BTF"), "{said}");
    Ok(())
}

#[test]
fn without_btf_an_agent_names_the_kernel_option_and_ends() -> Result<()> {
    let _alone = alone();
    let mut command = command();
    command.without("/sys/kernel/btf");
    let args = format!("agent --listen {} --duration 30s", free_port()?);
    let said = refused(&args, command, PRIVILEGE_OR_KERNEL)?;
    assert!(said.contains("CONFIG_DEBUG_INFO_BTF"), "{said}");
    Ok(())
}

/// An agent whose docker cannot be asked counts under the short id.
fn counts_by_short_id(socket: &Path) -> Result<()> {
    let id = "5e1f".repeat(16);
    let Some(parent) = unless_available("cgroup", Cgroup::new("mute")) else {
        return Ok(());
    };
    let cgroup = parent.child(&format!("docker-{id}.scope"))?;
    let agent = Agent::start(&format!("runtimes.docker = [{socket:?}]\n"))?;
    Workload::new()?.run(&cgroup, "syscalls --calls 80 --errors 6")?;
    let labels = [
        ("namespace", ""),
        ("container", &id[..12]),
        ("syscall", "ioprio_get"),
    ];
    let calls = |scrape: &Scrape| scrape.sum("nodeprobe_syscalls_total", &labels);
    let scrape = agent.scrape_until(LONG, |scrape| calls(scrape) >= 80.0)?;
    assert_eq!(calls(&scrape), 80.0, "{}", agent.said());
    assert_eq!(agent.get("/healthz")?.status, 200);
    let (status, _, said) = agent.terminate()?;
    assert!(status.success() && !said.contains("panicked"), "{said}");
    Ok(())
}

#[test]
fn a_runtime_that_accepts_and_never_answers_costs_the_names_only() -> Result<()> {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("mute.sock");
    let listener = UnixListener::bind(&socket)?;
    // Connections stay open until the process ends.
    thread::spawn(move || {
        let mut open = Vec::new();
        while let Ok(connection) = listener.accept() {
            open.push(connection);
        }
    });
    counts_by_short_id(&socket)
}

#[test]
fn a_runtime_that_may_not_be_asked_costs_the_names_only() -> Result<()> {
    let _alone = alone();
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("closed.sock");
    let _listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000))?;
    counts_by_short_id(&socket)
}

/// Counts exactly although something is missing on this host.
fn counts_without(folder: &str) -> Result<()> {
    let _alone = alone();
    if !fs::exists(folder)? {
        return Ok(());
    }
    let Some(cgroup) = unless_available("cgroup", Cgroup::new("without")) else {
        return Ok(());
    };
    let mut command = command();
    command.without(folder);
    let agent = Agent::start_with("", command)?;
    Workload::new()?.run(&cgroup, "syscalls --calls 90")?;
    let path = cgroup.path();
    let labels = [("container", path.as_str()), ("syscall", "ioprio_get")];
    let calls = |scrape: &Scrape| scrape.sum("nodeprobe_syscalls_total", &labels);
    let scrape = agent.scrape_until(LONG, |scrape| calls(scrape) >= 90.0)?;
    assert_eq!(calls(&scrape), 90.0);
    Ok(())
}

#[test]
fn without_bpffs_everything_is_counted() -> Result<()> {
    counts_without("/sys/fs/bpf")
}

#[test]
fn without_tracefs_everything_is_counted() -> Result<()> {
    counts_without("/sys/kernel/tracing")
}

#[test]
fn without_any_cgroup_hierarchy_the_agent_says_so_and_does_not_panic() -> Result<()> {
    let _alone = alone();
    let mut hidden = command();
    hidden.without_cgroups();
    let (code, _, said) = run(
        &format!("agent --listen {} --duration 3s", free_port()?),
        hidden,
    )?;
    assert!(!said.contains("panicked"), "{said}");
    assert!([0, PRIVILEGE_OR_KERNEL].contains(&code), "{code}: {said}");
    assert!(said.contains("cgroup"), "{said}");
    Ok(())
}

#[test]
fn doctor_answers_on_every_host() -> Result<()> {
    type Change = fn(&mut Command) -> &mut Command;
    let _alone = alone();
    let hosts: [(&str, Change); 5] = [
        ("as it is", |command| command),
        ("no BTF", |command| command.without("/sys/kernel/btf")),
        ("no bpffs", |command| command.without("/sys/fs/bpf")),
        ("no tracefs", |command| {
            command.without("/sys/kernel/tracing")
        }),
        ("no cgroups", |command| command.without_cgroups()),
    ];
    for (host, change) in hosts {
        let mut command = command();
        change(&mut command);
        let (code, stdout, stderr) = run("doctor -o json", command)?;
        assert!(!stderr.contains("panicked"), "{host}: {stderr}");
        assert!(
            [0, PRIVILEGE_OR_KERNEL].contains(&code),
            "{host}: {code}: {stderr}"
        );
        let report: serde_json::Value = serde_json::from_str(&stdout)?;
        assert!(report.is_object(), "{host}: {stdout}");
    }
    Ok(())
}
