//! The hand-shake with the test: where the program stands, and what it waits for.

use std::{error::Error, time::Duration};

use crate::{options::Options, sys};

/// Blocks the signals that are waited for, so that none is missed or deadly. Threads inherit that.
pub(crate) fn prepare() -> Result<(), Box<dyn Error>> {
    Ok(sys::block(&[sys::SIGUSR1, sys::SIGTERM])?)
}

/// Announces that the work can begin, waits for SIGUSR1, and announces the work.
pub(crate) fn ready_and_wait() -> Result<(), Box<dyn Error>> {
    sys::set_name(c"np-ready")?;
    sys::wait_for(sys::SIGUSR1, None)?;
    Ok(sys::set_name(c"np-work")?)
}

/// Announces the end of the work and holds as long as it was asked to.
pub(crate) fn finish(options: &Options) -> Result<(), Box<dyn Error>> {
    sys::set_name(c"np-done")?;
    if options.has("--hold") {
        sys::wait_for(sys::SIGUSR1, None)?;
    }
    if let Some(ms) = options.get("--hold-ms")? {
        sys::wait_for(sys::SIGUSR1, Some(Duration::from_millis(ms)))?;
    }
    Ok(())
}

/// Does nothing until SIGTERM: the process that keeps a pod's sandbox alive.
pub(crate) fn wait_for_end() -> String {
    // An error can only be an interruption, and then there is nothing better to do than to end.
    let ended = sys::wait_for(sys::SIGTERM, None).is_ok();
    format!(r#"{{"ended":{ended}}}"#)
}
