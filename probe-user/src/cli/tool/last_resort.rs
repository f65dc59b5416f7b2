//! Ends a tool that cannot end by itself, because whoever reads its output does not.

use std::{process, thread, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long a tool may take after the first signal: its last report waits for names.
const GRACE: Duration = Duration::from_secs(10);
/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

/// Watches the signals on a thread of its own, from now on: the tool's own thread may be in a write that nobody takes. The second signal
/// ends the program, and so does the first one if the tool is still there some seconds later. The kernel detaches what was attached.
pub(super) fn watch() {
    let spawned = thread::Builder::new().name("signals".into()).spawn(|| {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
            return;
        };
        if let Some(number) = runtime.block_on(second()) {
            process::exit(BY_SIGNAL + number);
        }
    });
    if let Err(error) = spawned {
        tracing::debug!(%error, "a second signal ends nothing");
    }
}

/// The number of the signal after which the program has to end; `None` where signals cannot be caught.
async fn second() -> Option<i32> {
    let mut interrupt = signal(SignalKind::interrupt()).ok()?;
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
        }
    };
    let first = next().await;
    let last = timeout(GRACE, next()).await.unwrap_or(first);
    Some(last.as_raw_value())
}
