//! Runs other programs.
//!
//! Every failure names the command as a person would type it, and shows what it printed if nobody
//! saw that.
use std::{
    collections::VecDeque,
    ffi::OsStr,
    fmt,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Error, Result, anyhow, bail};

use crate::progress::Step;

/// Lines of output that a failure shows.
const TAIL_LINES: usize = 40;

/// A program to run, with its arguments.
pub(crate) struct Cmd(Command);

impl Cmd {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self(Command::new(program))
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.0.env(key, value);
        self
    }

    /// Without a variable of our own environment.
    pub(crate) fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.0.env_remove(key);
        self
    }

    /// Without the variables of our own environment.
    pub(crate) fn env_clear(mut self) -> Self {
        self.0.env_clear();
        self
    }

    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Runs with our own input and output.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.0.status().with_context(|| self.not_started())?;
        self.check(status)
    }

    /// Runs unseen and returns what it printed, without the space around it.
    pub(crate) fn read(mut self) -> Result<String> {
        let output = self
            .0
            .stdin(Stdio::null())
            .output()
            .with_context(|| self.not_started())?;
        if !output.status.success() {
            bail!(
                "`{self}` ended with {}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Whether it can be started and ends well. Prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        self.0
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    }

    /// Runs under a step, which shows the latest line; a failure shows the last lines.
    pub(crate) fn under(self, step: &Step) -> Result<()> {
        let name = self.to_string();
        let mut tail = VecDeque::with_capacity(TAIL_LINES);
        let status = self.lines(|line| {
            step.detail(line);
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(line.to_owned());
        })?;
        if !status.success() {
            bail!(
                "`{name}` ended with {status}\n{}",
                tail.make_contiguous().join("\n")
            );
        }
        Ok(())
    }

    /// Runs with both outputs in one stream, handed over line by line.
    pub(crate) fn lines(mut self, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
        let (reader, writer) = std::io::pipe().context("make a pipe")?;
        self.0
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = self.0.spawn().with_context(|| self.not_started())?;
        // The command holds our ends of the pipe: while they are open the reader sees no end.
        drop(self);
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            each(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        Ok(child.wait()?)
    }

    /// Becomes the program. Returns only if it could not be started.
    pub(crate) fn exec(mut self) -> Error {
        let error = self.0.exec();
        Error::new(error).context(self.not_started())
    }

    /// The plain command, for what this wrapper does not do.
    pub(crate) fn into_inner(self) -> Command {
        self.0
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            Ok(())
        } else {
            Err(anyhow!("`{self}` ended with {status}"))
        }
    }

    fn not_started(&self) -> String {
        format!("start `{self}`")
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.get_program().to_string_lossy())?;
        for arg in self.0.get_args().map(OsStr::to_string_lossy) {
            if arg.is_empty() || arg.contains([' ', '\'', '"', '$', '*']) {
                write!(f, " '{}'", arg.replace('\'', r"'\''"))?;
            } else {
                write!(f, " {arg}")?;
            }
        }
        Ok(())
    }
}

/// Where a program is, in PATH or among the administrator's programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let command = Cmd::new("sh").args(["-c", "echo 'a b'", ""]);
        assert_eq!(command.to_string(), r"sh -c 'echo '\''a b'\''' ''");
    }

    #[test]
    fn both_outputs_arrive_as_lines_in_order() {
        let mut seen = Vec::new();
        let status = Cmd::new("sh")
            .args(["-c", "echo one; echo two >&2; echo three; exit 3"])
            .lines(|line| seen.push(line.to_owned()))
            .unwrap();
        assert_eq!(seen, ["one", "two", "three"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_failure_names_the_command_and_shows_its_complaint() {
        let error = Cmd::new("sh")
            .args(["-c", "echo no such luck >&2; exit 1"])
            .read()
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("sh -c") && text.contains("no such luck"),
            "{text}"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure_with_its_name() {
        let error = Cmd::new("surely-not-a-program").run().unwrap_err();
        assert!(
            format!("{error:#}").starts_with("start `surely-not-a-program`"),
            "{error:#}"
        );
    }
}
