//! The one PUT that answers CloudFormation.

use crate::clock::HostClock;
use reqwest::Url;
use std::time::Duration;
use tower_forge_core::port::Undelivered;

/// Time for a connection.
const CONNECT: Duration = Duration::from_millis(3100);

/// Begins the HTTP client of a function. It follows no redirect: a response is sent to the URL that CloudFormation has signed
/// and to no other.
pub fn client_builder() -> reqwest::ClientBuilder {
    // An error says that a provider has been chosen before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none())
}

/// Delivers a response.
///
/// Retries transient failures (no connection, 429, 5xx) with a growing pause until `until`, by the clock's monotonic side.
/// Content-Type is empty because CloudFormation has signed it so.
///
/// # Errors
///
/// CloudFormation does not have the response.
pub async fn put(
    http: &reqwest::Client,
    clock: &HostClock,
    url: &Url,
    body: &str,
    until: Duration,
) -> Result<(), Undelivered> {
    let mut pause = Duration::from_millis(500);
    loop {
        let request = http
            .put(url.clone())
            .header("content-type", "")
            .timeout(Duration::from_secs(10))
            .body(body.to_owned());
        let why = match request.send().await.map_err(reqwest::Error::without_url) {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => {
                let status = response.status();
                if !(status.is_server_error() || status.as_u16() == 429 || status.as_u16() == 408) {
                    return Err(Undelivered::Refused(status.as_u16()));
                }
                format!("status {}", status.as_u16())
            }
            // The URL is a secret; `without_url` has taken it out of the error.
            Err(err) => err.to_string(),
        };
        if clock.now().mono + pause >= until {
            return Err(Undelivered::Unreachable(why));
        }
        tracing::warn!(why, "CloudFormation did not accept the response yet");
        clock.sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(10));
    }
}
