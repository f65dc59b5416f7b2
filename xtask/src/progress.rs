//! Tells what is going on: a spinner with the time on a terminal, plain lines elsewhere.
use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// One thing that takes a while. Says so at its start, and how long it took at its end.
pub(crate) struct Step {
    what: String,
    start: Instant,
    bar: Option<ProgressBar>,
}

impl Step {
    pub(crate) fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let bar = std::io::stderr().is_terminal().then(|| spinner(&what));
        if bar.is_none() {
            eprintln!("==> {what}");
        }
        Self {
            what,
            start: Instant::now(),
            bar,
        }
    }

    /// Shows where a long step is. On a terminal only: elsewhere it would be noise.
    pub(crate) fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            let text: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            bar.set_message(format!("{} {text}", self.what));
        }
    }

    pub(crate) fn done(self) {
        let what = self.what.clone();
        self.done_as(&what);
    }

    /// Ends the step with what came of it.
    pub(crate) fn done_as(self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("  ✓ {what} ({})", short(self.start.elapsed()));
    }
}

fn spinner(what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
    let bar = ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Says one thing that took no time.
pub(crate) fn note(text: impl AsRef<str>) {
    eprintln!("  · {}", text.as_ref());
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 05 s`.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_at_the_precision_that_matters() {
        assert_eq!(short(Duration::from_millis(420)), "0.4 s");
        assert_eq!(short(Duration::from_millis(12_900)), "12 s");
        assert_eq!(short(Duration::from_secs(185)), "3 min 05 s");
    }
}
