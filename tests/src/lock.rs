//! One test at a time, for tests that would count one another's work.

use std::{
    fs::File,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{FlockOperation, flock};

static HERE: Mutex<()> = Mutex::new(());

/// Held while a test uses the machine.
#[must_use]
pub struct Alone {
    // Unlocked by closing, before the threads of this process get their turn.
    _machine: Option<File>,
    _process: MutexGuard<'static, ()>,
}

/// Waits until no other test runs, in this process or in another one on this machine.
pub fn alone() -> Alone {
    // A test that failed leaves nothing behind that the next one could trip over: rigs are guards.
    let process = HERE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::temp_dir().join("nodeprobe-integration.lock");
    // Without the file, tests of two runs may disturb one another; that is no reason to fail.
    let machine = File::create(path).ok();
    if let Some(file) = &machine {
        flock(file, FlockOperation::LockExclusive).ok();
    }
    Alone {
        _machine: machine,
        _process: process,
    }
}
