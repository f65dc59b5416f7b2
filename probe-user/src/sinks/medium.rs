//! What a writer needs of the thing that it writes to.

use std::{io, time::SystemTime};

/// Whether something that was opened again goes on where writing stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// It holds what was written and nothing else since: half a line can be finished.
    Continued,
    /// It begins with a line of its own.
    Anew,
}

/// Takes bytes. All errors are taken for passing ones: the writer opens it again and goes on.
pub(super) trait Medium: Send + 'static {
    /// Gets ready for a line of that many bytes. Returns how many bytes may be written, at least those.
    fn prepare(&mut self, line: usize, now: SystemTime) -> io::Result<u64>;

    /// Writes some of the bytes, and returns how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Opens it again.
    fn reopen(&mut self, now: SystemTime) -> io::Result<Opened>;

    /// Does what time brings about. Called about once a second while there is nothing to write, and after writing.
    fn tick(&mut self, now: SystemTime);

    /// Brings what was written to the disk, where that is wanted.
    fn sync(&mut self);
}
