//! Log lines: one JSON object each on Lambda, text on a terminal, at the levels that Lambda's settings ask for.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging as `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT` say, which Lambda sets from the
/// function's logging configuration.
pub fn start() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level_of(&level)).unwrap_or(LevelFilter::INFO);
    let json = std::env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json"));
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    let registry = tracing_subscriber::registry().with(filter(level));
    if json {
        registry.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
    } else {
        registry.with(lines.without_time().with_ansi(false)).init();
    }
}

/// Lambda's levels are `tracing`'s, with FATAL above ERROR.
fn level_of(text: &str) -> Option<LevelFilter> {
    if text.eq_ignore_ascii_case("FATAL") { Some(LevelFilter::ERROR) } else { text.parse().ok() }
}

/// Our own crate at the level that was asked for; everything else at INFO at most, because the runtime logs the
/// raw event at TRACE and the SDK signed requests.
fn filter(level: LevelFilter) -> Targets {
    let others = level.min(LevelFilter::INFO);
    Targets::new().with_default(others).with_targets([("tower_forge", level), ("dead_letter", level)])
}
