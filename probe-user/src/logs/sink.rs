//! Where lines go: standard error, or a bounded list in memory.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::limits::LOG_KEPT_LINES;

/// The one place that writes log lines.
pub(super) struct Sink(Mutex<State>);

struct State {
    out: Box<dyn Write + Send>,
    kept: Option<VecDeque<String>>,
    pushed_out: u64,
}

impl Sink {
    pub(super) fn stderr() -> Self {
        Self::to(Box::new(io::stderr()))
    }

    pub(super) fn to(out: Box<dyn Write + Send>) -> Self {
        Self(Mutex::new(State {
            out,
            kept: None,
            pushed_out: 0,
        }))
    }

    pub(super) fn line(&self, line: String) {
        let mut state = self.lock();
        let Some(kept) = &mut state.kept else {
            state.write(&line);
            return;
        };
        if kept.len() >= LOG_KEPT_LINES {
            kept.pop_front();
            kept.push_back(line);
            state.pushed_out += 1;
        } else {
            kept.push_back(line);
        }
    }

    pub(super) fn keep(&self) {
        self.lock().kept.get_or_insert_default();
    }

    pub(super) fn kept(&self) -> Vec<String> {
        self.lock().kept.iter().flatten().cloned().collect()
    }

    pub(super) fn release(&self) {
        let mut state = self.lock();
        for line in state.kept.take().into_iter().flatten() {
            state.write(&line);
        }
    }

    pub(super) fn pushed_out(&self) -> u64 {
        self.lock().pushed_out
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, line: &str) {
        // One write per line, so that lines of several processes do not mix. Where standard error is gone,
        // there is nobody to tell.
        self.out.write_all(format!("{line}\n").as_bytes()).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Bytes that a test can look at while the sink writes them.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn kept_lines_are_bounded_and_written_on_release() {
        let out = Shared::default();
        let sink = Sink::to(Box::new(out.clone()));
        sink.line("before".into());
        sink.keep();
        for n in 0..LOG_KEPT_LINES + 5 {
            sink.line(n.to_string());
        }
        assert_eq!(out.0.lock().unwrap().as_slice(), b"before\n");
        assert_eq!(sink.kept().len(), LOG_KEPT_LINES);
        assert_eq!(sink.kept().first().unwrap(), "5");
        assert_eq!(sink.pushed_out(), 5);
        sink.release();
        sink.line("after".into());
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.starts_with("before\n5\n6\n") && text.ends_with("204\nafter\n"),
            "{text}"
        );
    }
}
