//! Log lines: one JSON object each on Lambda, text on a terminal, at the levels that Lambda's settings ask for.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Crates that would log the event or signed requests, and with them secrets, below this level.
const CAPPED: [&str; 7] = [
    "lambda_runtime=info",
    "lambda_runtime_api_client=info",
    "hyper=info",
    "hyper_util=info",
    "reqwest=info",
    "aws_sigv4=info",
    "rustls=info",
];

/// Starts logging as `AWS_LAMBDA_LOG_LEVEL` and `AWS_LAMBDA_LOG_FORMAT` say, which Lambda sets from the
/// function's logging configuration.
pub fn start() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| std::env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level_of(&level)).unwrap_or(LevelFilter::INFO);
    let json = std::env::var("AWS_LAMBDA_LOG_FORMAT").is_ok_and(|format| format.eq_ignore_ascii_case("json"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter(level)).with_target(false);
    if json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    } else {
        lines.without_time().with_ansi(false).init();
    }
}

/// Lambda's levels are `tracing`'s, with FATAL above ERROR.
fn level_of(text: &str) -> Option<LevelFilter> {
    if text.eq_ignore_ascii_case("FATAL") { Some(LevelFilter::ERROR) } else { text.parse().ok() }
}

/// Our own crate at the level that was asked for; everything else at INFO at most, because the runtime logs the
/// raw event at TRACE and the SDK signed requests.
fn filter(level: LevelFilter) -> EnvFilter {
    let others = level.min(LevelFilter::INFO);
    let mut filter = EnvFilter::new(others.to_string());
    let capped = CAPPED.iter().filter(|_| level >= LevelFilter::INFO).map(ToString::to_string);
    for directive in capped.chain([format!("tower_forge={level}"), format!("dead_letter={level}")]) {
        filter = filter.add_directive(directive.parse().expect("a crate and a level"));
    }
    filter
}
