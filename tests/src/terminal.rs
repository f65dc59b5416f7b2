//! A terminal that nobody sits at: a pseudo terminal, and what its screen shows.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _, unix::fs::OpenOptionsExt as _},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::guard::Process;

mod screen;

pub use screen::Screen;

const ROWS: u16 = 40;
const COLUMNS: u16 = 160;

/// How often the thread that reads the output looks whether it is to end.
const READ_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// A pseudo terminal, of 40 lines by 160 columns unless it is opened with another size.
#[derive(Debug)]
pub struct Terminal {
    size: (u16, u16),
    keys: File,
    /// Kept open, so that its modes can be read when the program has left.
    device: File,
    output: Arc<Mutex<Vec<u8>>>,
    reader: Option<Reader>,
}

/// The thread that reads what is written to the terminal.
#[derive(Debug)]
struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Terminal {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// If the kernel has none.
    pub fn open() -> Result<Self> {
        Self::of_size(ROWS, COLUMNS)
    }

    /// Opens one that reports this size. It may be 0 by 0, as for `ssh -tt` and in CI.
    ///
    /// # Errors
    ///
    /// If the kernel has none.
    pub fn of_size(rows: u16, columns: u16) -> Result<Self> {
        let master: OwnedFd =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .context("open a pseudo terminal")?;
        grantpt(&master).context("own the pseudo terminal")?;
        unlockpt(&master).context("unlock the pseudo terminal")?;
        let name = ptsname(&master, Vec::new()).context("name the pseudo terminal")?;
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(OsStr::from_bytes(name.to_bytes()))
            .context("open the terminal's device")?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&device, size).context("set the size")?;
        let keys = File::from(master);
        let output = Arc::new(Mutex::default());
        let reader = Reader::start(keys.try_clone().context("share the terminal")?, &output);
        Ok(Self {
            size: (rows, columns),
            keys,
            device,
            output,
            reader: Some(reader),
        })
    }

    /// Starts a command on it.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Process> {
        self.spawn_as("xterm-256color", command)
    }

    /// Starts a command on it that takes it for a terminal of this kind (`TERM`).
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn_as(&self, kind: &str, command: &mut Command) -> Result<Process> {
        let device = || self.device.try_clone().context("share the device");
        Process::spawn(
            command
                .env("TERM", kind)
                .stdin(Stdio::from(device()?))
                .stdout(device()?)
                .stderr(device()?),
        )
    }

    /// Types something.
    ///
    /// # Errors
    ///
    /// If nobody can read it any more.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes()).context("press keys")
    }

    /// What it shows now.
    pub fn screen(&self) -> Screen {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let or = |size: u16, default: u16| usize::from(if size == 0 { default } else { size });
        Screen::after(&output, or(self.size.0, ROWS), or(self.size.1, COLUMNS))
    }

    /// All that was written to it.
    pub fn written(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Closes it, as a connection that breaks: programs on it read an end of file and write into an error.
    pub fn hang_up(mut self) {
        self.stop_reading();
    }

    /// Takes no more output, as a connection that stands still, and fills what the kernel buffers.
    ///
    /// # Errors
    ///
    /// If the terminal cannot be written to.
    pub fn stall(&mut self) -> Result<()> {
        self.stop_reading();
        let name = format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&self.device)
        );
        let mut filler = OpenOptions::new()
            .write(true)
            .custom_flags((OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed())
            .open(name)
            .context("open the terminal's device again")?;
        while filler.write(&[b' '; 256]).is_ok() {}
        Ok(())
    }

    fn stop_reading(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.stop.store(true, Ordering::Relaxed);
            // A panic of the reader shows in what was read.
            reader.thread.join().ok();
        }
    }

    /// Its modes: whether it echoes, edits lines, and so on.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn modes(&self) -> Result<Termios> {
        tcgetattr(&self.device).context("ask for the modes")
    }

    /// Whether a program reads single keys from it.
    ///
    /// # Errors
    ///
    /// As [`Self::modes`].
    pub fn is_raw(&self) -> Result<bool> {
        Ok(!self.modes()?.local_modes.contains(LocalModes::ICANON))
    }
}

impl Reader {
    /// Reads what is written to the terminal, until it is told to stop.
    fn start(mut terminal: File, output: &Arc<Mutex<Vec<u8>>>) -> Self {
        let (output, stop) = (output.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !stopped.load(Ordering::Relaxed) {
                let mut fds = [PollFd::new(&terminal, PollFlags::IN)];
                match poll(&mut fds, Some(&READ_EVERY)) {
                    Ok(0) => continue,
                    Ok(_) => {}
                    Err(_) => return,
                }
                let Ok(count @ 1..) = terminal.read(&mut bytes) else {
                    return;
                };
                let read = bytes.get(..count).unwrap_or_default();
                output
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(read);
            }
        });
        Self { stop, thread }
    }
}
