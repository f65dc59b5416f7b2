//! Logs of the program: text or one JSON object a line, on standard error or kept in memory.
//!
//! Takes events of `tracing` and, through it, of the `log` crate, which aya uses.

mod component;
mod format;
mod limit;
mod output;
mod sink;

use std::{env, sync::Arc, time::Instant};

use tracing::level_filters::LevelFilter;
use tracing_log::{AsLog as _, log};
use tracing_subscriber::{
    EnvFilter, Registry,
    filter::ParseError,
    layer::SubscriberExt as _,
    reload,
    util::{SubscriberInitExt as _, TryInitError},
};

use self::{limit::Limiter, output::Output, sink::Sink};
use crate::config::{Log, LogLevel};

/// Libraries whose own messages matter only when they are warnings.
const LIBRARIES: [&str; 7] = ["aya", "h2", "hyper", "hyper_util", "mio", "tonic", "tower"];

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `RUST_LOG` is not a list of directives.
    #[error("RUST_LOG is not a filter; write a level such as `debug`, or `agent=debug`")]
    Filter(#[source] ParseError),
    /// Logs were started twice.
    #[error("logs are already running")]
    Running(#[source] TryInitError),
}

/// The running logs.
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Whether `RUST_LOG` decides, and the configured level does not.
    fixed: bool,
    sink: Arc<Sink>,
    limiter: Arc<Limiter>,
    /// Targets of the kernel's programs whose messages are wanted at any level.
    programs: Vec<&'static str>,
}

/// Starts the logs of the whole process. `RUST_LOG`, where set, stands above the configured level.
///
/// Messages whose target begins with one of `programs` are shown at every level.
///
/// # Errors
///
/// If `RUST_LOG` is no filter, or if this was called before.
pub fn init(config: &Log, colour: bool, programs: Vec<&'static str>) -> Result<Logs, LogError> {
    let asked = env::var("RUST_LOG")
        .ok()
        .filter(|directives| !directives.is_empty());
    let filter = match &asked {
        Some(directives) => {
            EnvFilter::try_new(component::by_module(directives)).map_err(LogError::Filter)?
        }
        None => filter(config.level, &programs),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let sink = Arc::new(Sink::stderr());
    let limiter = Arc::new(Limiter::new(Instant::now));
    let output = Output::new(
        config.format,
        colour,
        Arc::clone(&sink),
        Arc::clone(&limiter),
    );
    let subscriber = tracing_subscriber::registry().with(filter).with(output);
    subscriber.try_init().map_err(LogError::Running)?;
    Ok(Logs {
        filter: handle,
        fixed: asked.is_some(),
        sink,
        limiter,
        programs,
    })
}

impl Logs {
    /// Changes the level. Answers whether it did: not where `RUST_LOG` decides.
    pub fn set_level(&self, level: LogLevel) -> bool {
        if self.fixed || self.filter.reload(filter(level, &self.programs)).is_err() {
            return false;
        }
        log::set_max_level(LevelFilter::current().as_log());
        true
    }

    /// Keeps the last lines in memory and writes none, while a full-screen table has the terminal.
    pub fn keep_lines(&self) {
        self.sink.keep();
    }

    /// The lines kept, oldest first.
    pub fn kept_lines(&self) -> Vec<String> {
        self.sink.kept()
    }

    /// Writes what was kept and every later line to standard error again.
    pub fn release_lines(&self) {
        self.sink.release();
    }

    /// Lines that were not written because their event repeated too often, or kept lines that were pushed out.
    pub fn suppressed(&self) -> u64 {
        self.limiter
            .suppressed()
            .saturating_add(self.sink.pushed_out())
    }
}

fn filter(level: LogLevel, programs: &[&str]) -> EnvFilter {
    EnvFilter::new(directives(level, programs))
}

fn directives(level: LogLevel, programs: &[&str]) -> String {
    let quiet = if level == LogLevel::Error {
        level
    } else {
        LogLevel::Warn
    };
    let libraries = LIBRARIES
        .iter()
        .map(|library| format!(",{library}={quiet}"));
    // Programs write no more than debug messages, and none unless they are asked to.
    let programs = programs
        .iter()
        .map(|program| format!(",{program}={}", LogLevel::Debug));
    // It tells of every request that fails. We tell once, with what it means.
    let told = std::iter::once(",kube_client::client::builder=off".to_owned());
    level.to_string() + &libraries.chain(told).chain(programs).collect::<String>()
}

/// An error and all its causes in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use super::*;

    #[test]
    fn libraries_are_quieter_than_we_are_and_never_louder() {
        assert!(directives(LogLevel::Debug, &[]).starts_with("debug,aya=warn,"));
        assert!(directives(LogLevel::Error, &[]).starts_with("error,aya=error,"));
        for (_, level) in LogLevel::WORDS {
            assert!(EnvFilter::try_new(directives(*level, &["syscalls"])).is_ok());
        }
    }

    /// `?field` prints the form of Rust's `Debug`: brackets, quotes and names of types.
    #[test]
    fn log_lines_have_no_debug_forms() {
        fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    sources(&path, found);
                } else if path.extension().is_some_and(|it| it == "rs") {
                    found.push(path);
                }
            }
        }
        let mut files = Vec::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut files,
        );
        assert!(files.len() > 100, "{} files", files.len());
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let fields = ["= ?", "(?", ", ?"];
                let found = fields.iter().any(|field| {
                    let after = code.split(field).skip(1);
                    let mut after = after.filter(|rest| !rest.starts_with("Sized"));
                    after.any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
                });
                assert!(!found, "{}:{}: {line}", path.display(), number + 1);
            }
        }
    }

    /// The only test that may start the logs of this process.
    #[test]
    fn the_level_can_be_changed_and_records_of_the_log_crate_arrive() {
        let config = Log {
            level: LogLevel::Warn,
            format: crate::config::LogFormat::Json,
        };
        let logs = init(&config, false, vec!["syscalls"]).unwrap();
        logs.keep_lines();
        log::warn!(target: "from_kernel", "first");
        log::info!(target: "from_kernel", "too quiet");
        let changed = logs.set_level(LogLevel::Info);
        log::info!(target: "from_kernel", "second");
        log::debug!(target: "syscalls_hash::body", "from a program");
        tracing::info!(target: "own", count = 2, "third");
        let kept = logs.kept_lines().join("\n");
        assert!(
            kept.contains(r#""target":"from_kernel","msg":"first"}"#),
            "{kept}"
        );
        assert!(matches!(
            init(&config, false, Vec::new()),
            Err(LogError::Running(_))
        ));
        // Where RUST_LOG is set, it decides.
        if changed {
            assert!(kept.contains("from a program"), "{kept}");
            assert!(!kept.contains("too quiet"), "{kept}");
            assert!(kept.contains(r#""level":"info","target":"from_kernel","msg":"second"}"#));
            assert!(kept.contains(r#""msg":"third","count":2}"#), "{kept}");
        }
    }
}
