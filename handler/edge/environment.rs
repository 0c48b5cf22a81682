//! The environment variables that both functions read.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tower_forge_core::claim::Timing;
use tower_forge_core::event::Source;

/// The settings of the deployment that both functions need.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The claim's table (`TOWER_FORGE_TABLE`).
    pub table: String,
    /// Where genuine requests come from: `AWS_REGION`, and `TOWER_FORGE_LOCAL=1` for a local run.
    pub source: Source,
    /// Real seconds per second of AWS's time: 1 on AWS (`TOWER_FORGE_TIME_SCALE`, in local runs only).
    pub scale: f64,
    /// The function's log stream (`AWS_LAMBDA_LOG_STREAM_NAME`).
    pub log_stream: String,
}

/// How a function reaches AWS. Lambda gives it credentials and a region.
#[derive(Clone, Debug)]
pub struct Access {
    /// The HTTP client.
    pub http: reqwest::Client,
    /// The credentials (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`).
    pub credentials: SharedCredentialsProvider,
    /// The region (`AWS_REGION`).
    pub region: String,
    /// Another endpoint than AWS's own (`AWS_ENDPOINT_URL`).
    pub endpoint: Option<String>,
    /// The name in the user agent by which the deployer tells the function's calls apart (`AWS_SDK_UA_APP_ID`).
    pub app: Option<String>,
}

impl Access {
    /// Reads the environment.
    pub fn read(http: reqwest::Client) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let text = |name: &str| variable(name).unwrap_or_default();
        let (key, secret) = (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
        let credentials = Credentials::new(key, secret, variable("AWS_SESSION_TOKEN"), None, "environment");
        Self {
            http,
            credentials: SharedCredentialsProvider::new(credentials),
            region: text("AWS_REGION"),
            endpoint: variable("AWS_ENDPOINT_URL"),
            app: variable("AWS_SDK_UA_APP_ID"),
        }
    }
}

/// In local runs a permit lasts at least so many real seconds, however fast time passes: processes share a machine.
const LOCAL_PERMIT: f64 = 2.0;
/// The same for calls.
const LOCAL_CALL: f64 = 3.0;

impl Environment {
    /// Reads the environment.
    pub fn read() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text =
            |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let local = text("TOWER_FORGE_LOCAL").as_deref() == Some("1");
        let scale = text("TOWER_FORGE_TIME_SCALE").filter(|_| local).and_then(|text| text.parse().ok());
        Self {
            table: text("TOWER_FORGE_TABLE").unwrap_or_default(),
            source: Source { region: text("AWS_REGION").unwrap_or_default(), local },
            scale: scale.filter(|scale| *scale > 0.0).unwrap_or(1.0),
            log_stream: text("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_else(|| "local".to_owned()),
        }
    }

    /// How long permits and calls last, in AWS's time.
    pub fn timing(&self) -> Timing {
        if !self.source.local {
            return Timing::AWS;
        }
        let at_least = |real: f64| std::time::Duration::from_secs_f64(real / self.scale);
        Timing {
            permit: Timing::AWS.permit.max(at_least(LOCAL_PERMIT)),
            call: Timing::AWS.call.max(at_least(LOCAL_CALL)),
            ..Timing::AWS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(local: &'static str, scale: &'static str) -> Environment {
        Environment::from_variables(move |name| match name {
            "TOWER_FORGE_LOCAL" => Some(local.to_owned()),
            "TOWER_FORGE_TIME_SCALE" => Some(scale.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn time_is_scaled_in_local_runs_only() {
        assert!((of("1", "0.01").scale - 0.01).abs() < f64::EPSILON);
        assert!((of("0", "0.01").scale - 1.0).abs() < f64::EPSILON);
        assert!((of("1", "-1").scale - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_local_permit_lasts_for_some_real_time() {
        assert_eq!(of("1", "0.01").timing().permit, Duration::from_secs(200));
        assert_eq!(of("1", "1").timing().permit, Timing::AWS.permit);
    }
}
