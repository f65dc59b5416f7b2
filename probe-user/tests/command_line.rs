//! The program as a shell sees it: exit codes, messages, and what it does without privileges.
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]

use std::{
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const NODEPROBE: &str = env!("CARGO_BIN_EXE_nodeprobe");

fn nodeprobe(args: &[&str]) -> Output {
    Command::new(NODEPROBE)
        .args(args)
        .env_remove("NODEPROBE_CONFIG")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program where any user can run it, and a way to run it as nobody without capabilities.
struct Unprivileged {
    program: PathBuf,
    _dir: tempfile::TempDir,
}

impl Unprivileged {
    /// `None`, with a note, where this test cannot become somebody else.
    fn new() -> Option<Self> {
        let setpriv = Command::new("setpriv").arg("--version").output();
        if !rustix::process::geteuid().is_root() || setpriv.is_err() {
            test_skip::skip("setpriv", "needs root and setpriv of util-linux");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("nodeprobe");
        fs::copy(NODEPROBE, &program).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { program, _dir: dir })
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all", "--clear-groups"])
            .args(["--reuid=65534", "--regid=65534"])
            .arg(&self.program)
            .args(args)
            .output()
            .unwrap()
    }
}

#[test]
fn version_and_help_go_to_standard_output() {
    for flag in ["--version", "--help"] {
        let output = nodeprobe(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.starts_with(b"nodeprobe 0.") || flag == "--help");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{flag}"
        );
    }
}

#[test]
fn usage_errors_end_with_2() {
    for args in [
        &[][..],
        &["nothing"],
        &["doctor", "--bogus"],
        &["runqlat", "--by", "syscall"],
    ] {
        let output = nodeprobe(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            !output.stderr.is_empty() && output.stdout.is_empty(),
            "{args:?}"
        );
    }
}

#[test]
fn a_faulty_configuration_lists_all_faults_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("np.toml");
    fs::write(&path, "listn = 1\n[limits]\nseries = 0\n").unwrap();
    let output = nodeprobe(&["doctor", "--config", path.to_str().unwrap()]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.starts_with("error: 2 faults in the configuration\n"),
        "{text}"
    );
    assert!(
        text.contains("np.toml:1:1: listn: unknown key; did you mean `listen`?"),
        "{text}"
    );
    assert!(
        text.contains("np.toml:3:10: limits.series: must be a whole number"),
        "{text}"
    );
}

#[test]
fn a_missing_configuration_names_the_cause() {
    let output = nodeprobe(&["doctor", "--config", "/nonexistent/np.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("cause: No such file or directory"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_printed_configuration_is_accepted_by_the_program() {
    let printed = nodeprobe(&["agent", "--print-config"]);
    assert_eq!(printed.status.code(), Some(0));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("np.toml");
    fs::write(&path, &printed.stdout).unwrap();
    let output = nodeprobe(&["doctor", "-o", "json", "--config", path.to_str().unwrap()]);
    assert_ne!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    // The pipe is closed before the program writes: its standard output is broken from the start.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = Command::new(NODEPROBE)
        .args(["agent", "--print-config"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut complaint = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaint)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(complaint, "");
}

#[test]
fn without_privileges_the_doctor_names_them_and_ends_with_3() {
    let Some(nobody) = Unprivileged::new() else {
        return;
    };
    let output = nobody.run(&["doctor", "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let syscalls = checks
        .iter()
        .find(|check| check["name"] == "syscalls")
        .unwrap();
    assert_eq!(syscalls["state"], "missing");
    assert!(syscalls["remedy"].as_str().unwrap().contains("CAP_BPF"));
    // A kernel that cannot be asked is not a kernel that cannot.
    let ring = checks
        .iter()
        .find(|check| check["name"] == "ring buffer")
        .unwrap();
    assert_eq!(ring["state"], "unknown");
}

#[test]
fn an_unreadable_configuration_names_the_cause() {
    let Some(nobody) = Unprivileged::new() else {
        return;
    };
    let secret = nobody.program.with_file_name("secret.toml");
    fs::write(&secret, "").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let output = nobody.run(&["doctor", "--config", path(&secret)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("cause: Permission denied"),
        "{}",
        stderr(&output)
    );
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
