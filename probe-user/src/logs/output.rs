//! From an event to a line in the sink.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
    time::SystemTime,
};

use rustc_hash::FxHasher;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{Layer, layer::Context};

use super::{
    component::component,
    format::{Message, json, text},
    limit::Limiter,
    sink::Sink,
};
use crate::config::LogFormat;

/// Formats events, holds back repeats and hands lines to the sink.
pub(super) struct Output {
    format: LogFormat,
    colour: bool,
    sink: Arc<Sink>,
    limiter: Arc<Limiter>,
}

impl Output {
    pub(super) fn new(
        format: LogFormat,
        colour: bool,
        sink: Arc<Sink>,
        limiter: Arc<Limiter>,
    ) -> Self {
        Self {
            format,
            colour,
            sink,
            limiter,
        }
    }
}

impl<S: Subscriber> Layer<S> for Output {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Records of the `log` crate all come from one place; their own is in their fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let level = *metadata.level();
        // Who asks for details wants all of them.
        let limited = level <= Level::INFO;
        let held_back = if limited {
            self.limiter.admit(key(metadata))
        } else {
            Some(0)
        };
        let Some(held_back) = held_back else { return };
        let mut message = Message::default();
        event.record(&mut message);
        if held_back > 0 {
            message.fields.push(("suppressed", held_back.into()));
        }
        let (at, target) = (SystemTime::now(), component(metadata.target()));
        self.sink.line(match self.format {
            LogFormat::Text => text(at, level, target, &message, self.colour),
            LogFormat::Json => json(at, level, target, &message),
        });
    }
}

/// The place in the source that an event comes from.
fn key(metadata: &Metadata<'_>) -> u64 {
    let mut hasher = FxHasher::default();
    (metadata.target(), metadata.file(), metadata.line()).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::{io, time::Instant};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;
    use crate::limits::LOG_REPEATS;

    #[test]
    fn an_event_that_repeats_is_cut_off_and_details_are_not() {
        let sink = Arc::new(Sink::to(Box::new(io::sink())));
        sink.keep();
        let limiter = Arc::new(Limiter::new(Instant::now));
        let output = Output::new(
            LogFormat::Json,
            false,
            Arc::clone(&sink),
            Arc::clone(&limiter),
        );
        let subscriber = tracing_subscriber::registry().with(output);
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..LOG_REPEATS * 3 {
                tracing::debug!(n, "detail");
            }
            assert_eq!(sink.kept().len(), 3 * LOG_REPEATS as usize);
            for n in 0..LOG_REPEATS * 3 {
                tracing::warn!(n, "repeat");
            }
        });
        assert!(
            sink.kept()[0].contains(r#""target":"logs","#),
            "{:?}",
            sink.kept()
        );
        // Every warning was either written or counted, however long the loop took.
        let written = sink.kept().len() as u64 - u64::from(3 * LOG_REPEATS);
        assert!(written >= u64::from(LOG_REPEATS));
        assert_eq!(written + limiter.suppressed(), u64::from(3 * LOG_REPEATS));
        assert!(
            sink.kept()
                .iter()
                .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        );
    }
}
