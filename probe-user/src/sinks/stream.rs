//! Standard output.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
    time::SystemTime,
};

use super::medium::{Medium, Opened};

/// A stream that cannot be opened again or cut.
pub(super) struct Stream(File);

impl Stream {
    /// Standard output past the buffer of the standard library, which would hide how far a line came.
    pub(super) fn stdout() -> io::Result<Self> {
        Ok(Self(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }
}

impl Medium for Stream {
    fn prepare(&mut self, _: usize, _: SystemTime) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn reopen(&mut self, _: SystemTime) -> io::Result<Opened> {
        Ok(Opened::Continued)
    }

    fn tick(&mut self, _: SystemTime) {}

    fn sync(&mut self) {}
}
