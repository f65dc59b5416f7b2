//! Skips what a host cannot do, visibly.
//!
//! A test that returns without a word looks like one that passed. Every test of this repository, unit tests too, that
//! cannot run where it is calls [`skip`]: `cargo xtask test` counts and lists the skips, and `NODEPROBE_REQUIRE` turns
//! one into a failure.

use std::{env, fs::OpenOptions, io::Write as _};

/// Names of what must work, separated by commas, or `all`: a skip of one of them is a failure.
pub const REQUIRE: &str = "NODEPROBE_REQUIRE";
/// A file that collects the skips of a run.
pub const COLLECT: &str = "NODEPROBE_SKIPS";

/// Reports that something is skipped. Writes to the real standard error: the test harness hides what passing tests
/// print.
///
/// `name` is the feature that is missing, in one word or two; `reason` says why.
///
/// # Panics
///
/// If `NODEPROBE_REQUIRE` names it.
pub fn skip(name: &str, reason: &str) {
    let line = format!("SKIP {name}: {reason}\n");
    let required = env::var(REQUIRE).unwrap_or_default();
    assert!(
        !required.split(',').any(|it| it == name || it == "all"),
        "required by {REQUIRE}: {line}"
    );
    // A skip that cannot be reported is still a skip.
    std::io::stderr().write_all(line.as_bytes()).ok();
    if let Some(path) = env::var_os(COLLECT)
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        file.write_all(line.as_bytes()).ok();
    }
}
