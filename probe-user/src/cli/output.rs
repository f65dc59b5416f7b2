//! Standard output: plain writes whose failure is an answer.

use std::io::{self, Write as _};

/// Writes text to standard output.
///
/// # Errors
///
/// As the system says; a reader that has gone is a broken pipe.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
