//! Boots one guest, shows its console and waits for its end.
use std::{
    fmt,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{catalog::Settings, console::Console, kernel::Kernel, tools::Tools};
use crate::{process::Cmd, progress::note};

/// Never KVM: it is rarely to be had where tests run, and where it is nested it fails on
/// instructions that kernels use. An old processor, because each extension costs time to emulate.
const MACHINE: &str = "-machine q35 -accel tcg,thread=multi -cpu Nehalem -nodefaults \
                       -no-user-config -display none -no-reboot -serial stdio";
/// With `-no-reboot`, a kernel that panics ends the emulator. On a busy host emulated timers are late,
/// and a kernel that checks them panics.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check";

/// One kernel with its file system.
pub(crate) struct Guest<'a> {
    pub(crate) name: &'a str,
    pub(crate) kernel: Kernel,
    pub(crate) initrd: PathBuf,
    pub(crate) settings: &'a Settings,
}

/// What became of a guest.
pub(crate) struct Report {
    pub(crate) console: Console,
    pub(crate) took: Duration,
    /// Until init ran.
    pub(crate) booted_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    KernelFault,
    TestsFailed,
    NothingRan,
    NoEnd,
}

impl Verdict {
    pub(crate) fn good(self) -> bool {
        self == Self::Good
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "ok",
            Self::KernelFault => "the kernel complained",
            Self::TestsFailed => "tests failed",
            Self::NothingRan => "no test ran, or all were skipped",
            Self::NoEnd => "the guest ended, or its time was up, before the tests did",
        })
    }
}

impl Report {
    pub(crate) fn verdict(&self) -> Verdict {
        match &self.console {
            Console { faults, .. } if !faults.is_empty() => Verdict::KernelFault,
            Console { status: None, .. } => Verdict::NoEnd,
            Console {
                status: Some(0),
                tally,
                ..
            } if tally.good() => Verdict::Good,
            Console {
                status: Some(0),
                tally,
                ..
            } if tally.failed == 0 => Verdict::NothingRan,
            Console { .. } => Verdict::TestsFailed,
        }
    }
}

impl Guest<'_> {
    /// Boots, and returns once the guest has powered off or the time is up.
    pub(crate) fn run(&self, tools: &Tools, cache: &Path, timeout: Duration) -> Result<Report> {
        let logs = cache.join("logs");
        fs::create_dir_all(&logs)?;
        let mut log = File::create(logs.join(format!("{}.log", self.name)))?;
        let start = Instant::now();
        let mut child = Killed(self.start(tools)?);
        let lines = read_lines(
            child
                .0
                .stdout
                .take()
                .context("the emulator has no output")?,
        );
        let mut console = Console::default();
        let mut booted_after = None;
        let deadline = start + timeout;
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            writeln!(log, "{line}")?;
            println!("[{}] {line}", self.name);
            console.line(&line);
            if console.release.is_some() {
                booted_after.get_or_insert_with(|| start.elapsed());
            }
        }
        Ok(Report {
            console,
            took: start.elapsed(),
            booted_after,
        })
    }

    fn start(&self, tools: &Tools) -> Result<Child> {
        let Settings {
            memory_mib,
            cpus,
            modules: _,
            programs: _,
        } = self.settings;
        let command: Cmd = tools
            .command("usr/bin/qemu-system-x86_64")?
            .env(
                "QEMU_MODULE_DIR",
                tools.path("usr/lib/x86_64-linux-gnu/qemu"),
            )
            .arg("-L")
            .arg(tools.path("usr/share/qemu"))
            .arg("-L")
            .arg(tools.path("usr/share/seabios"))
            .args(MACHINE.split(' '))
            .args(["-smp", &cpus.to_string(), "-m", &memory_mib.to_string()])
            .args(["-append", KERNEL_ARGUMENTS])
            .arg("-kernel")
            .arg(&self.kernel.image)
            .arg("-initrd")
            .arg(&self.initrd);
        let name = command.to_string();
        command
            .into_inner()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{name}`"))
    }
}

/// A child that does not outlive us.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            note(format!("the emulator may still run: {error}"));
        }
    }
}

/// Reads on a thread, because a deadline has to interrupt the wait for a line.
fn read_lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(64);
    thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
            // Firmware clears the screen; a terminal that shows the console should not.
            let text = String::from_utf8_lossy(&line).replace(|c: char| c.is_control(), "");
            if sender.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Verdict {
        let mut console = Console::default();
        text.lines().for_each(|line| console.line(line));
        Report {
            console,
            took: Duration::ZERO,
            booted_after: None,
        }
        .verdict()
    }

    #[test]
    fn a_guest_is_good_only_if_tests_ran_passed_and_ended() {
        assert_eq!(
            verdict("test result: ok. 1 passed; 0 failed\n@@done 0 4.0"),
            Verdict::Good
        );
        assert_eq!(
            verdict("test result: ok. 1 passed; 0 failed"),
            Verdict::NoEnd
        );
        assert_eq!(
            verdict("test result: ok. 0 passed; 0 failed\n@@done 0 4.0"),
            Verdict::NothingRan
        );
        assert_eq!(
            verdict("test result: FAILED. 1 passed; 1 failed\n@@done 101 4.0"),
            Verdict::TestsFailed
        );
        assert_eq!(verdict("@@done 127 4.0"), Verdict::TestsFailed);
    }

    #[test]
    fn a_kernel_fault_spoils_passing_tests() {
        assert_eq!(
            verdict("Oops: 0000\ntest result: ok. 1 passed; 0 failed\n@@done 0 4.0"),
            Verdict::KernelFault
        );
    }
}
