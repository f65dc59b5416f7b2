//! A terminal that nobody sits at: a pseudo terminal, and what its screen shows.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _, unix::fs::OpenOptionsExt as _},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::guard::Process;

mod screen;

pub use screen::Screen;

const ROWS: u16 = 40;
const COLUMNS: u16 = 160;

/// A pseudo terminal of 40 lines by 160 columns.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    /// Kept open, so that its modes can be read when the program has left.
    device: File,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Opens one.
    ///
    /// # Errors
    ///
    /// If the kernel has none.
    pub fn open() -> Result<Self> {
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
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&device, size).context("set the size")?;
        let keys = File::from(master);
        let output = Arc::new(Mutex::default());
        collect(keys.try_clone().context("share the terminal")?, &output);
        Ok(Self {
            keys,
            device,
            output,
        })
    }

    /// Starts a command on it.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Process> {
        let device = || self.device.try_clone().context("share the device");
        Process::spawn(
            command
                .env("TERM", "xterm-256color")
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
        Screen::after(&output, ROWS.into(), COLUMNS.into())
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

/// Reads what is written to the terminal, until it is closed.
fn collect(mut terminal: File, output: &Arc<Mutex<Vec<u8>>>) {
    let output = output.clone();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = terminal.read(&mut bytes) {
            let read = bytes.get(..count).unwrap_or_default();
            output
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(read);
        }
    });
}
