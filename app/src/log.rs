//! The log: to stderr, as much as `TWOCAN_LOG` says, and never so much that strangers can fill a disk with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::{Event, Level, Subscriber, callsite::Identifier};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use twocan_lobby::Rate;

use crate::settings;
use crate::values::LogFormat;

/// Lines of one kind (one place in the code) at once.
const LINES_BURST: u32 = 50;
/// Lines of one kind, a second.
const LINES_PER_SECOND: u32 = 2;

/// Begins to log. `level`: what is shown where `TWOCAN_LOG` does not say.
pub fn start(level: LevelFilter, format: LogFormat) -> anyhow::Result<()> {
    let filter = match std::env::var(settings::LOG_VARIABLE) {
        Ok(text) if !text.is_empty() => settings::log_filter(&text)?,
        _ => Targets::new().with_default(level),
    };
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(colour).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
    };
    tracing_subscriber::registry().with(lines).with(Quiet { format, ..Quiet::default() }).with(filter).init();
    Ok(())
}

/// Leaves lines out where one kind of them comes too fast, and says how many. What is only shown on request (debug, trace) passes.
#[derive(Default)]
struct Quiet {
    format: LogFormat,
    kinds: Mutex<HashMap<Identifier, Kind>>,
}

struct Kind {
    spent: twocan_lobby::Spent,
    left_out: u64,
}

impl<S: Subscriber> Layer<S> for Quiet {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return true;
        }
        let left_out = self.pass(metadata.callsite(), Instant::now());
        if let Some(count @ 1..) = left_out {
            match self.format {
                LogFormat::Text => eprintln!("       … {count} lines like the next one are left out"),
                LogFormat::Json => eprintln!("{{\"left_out\":{count}}}"),
            }
        }
        left_out.is_some()
    }
}

impl Quiet {
    /// Whether a line of this kind may be shown: then, how many were left out before it.
    fn pass(&self, kind: Identifier, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Kind { spent: twocan_lobby::Spent::nothing(now), left_out: 0 };
        let kind = kinds.entry(kind).or_insert_with(new);
        if kind.spent.spend(1, Rate::per_second(LINES_PER_SECOND, LINES_BURST), now).is_err() {
            kind.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut kind.left_out))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_of_one_kind_of_line_is_thinned_out_and_counted() {
        static CALLSITE: tracing::callsite::DefaultCallsite =
            tracing::callsite::DefaultCallsite::new(&tracing::metadata! {
                name: "test", target: "test", level: Level::INFO, fields: &[], callsite: &CALLSITE,
                kind: tracing::metadata::Kind::EVENT
            });
        let (quiet, start) = (Quiet::default(), Instant::now());
        let kind = || tracing::callsite::Callsite::metadata(&CALLSITE).callsite();
        let shown = (0..100_000).filter(|_| quiet.pass(kind(), start).is_some()).count();
        assert_eq!(shown, 50);
        assert_eq!(quiet.pass(kind(), start + Duration::from_secs(1)), Some(99_950));
    }
}
