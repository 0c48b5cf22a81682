//! What the deployer of the function decided, read from its environment once per cold start.
//!
//! This is the only file that reads environment variables of ours; the standard `AWS_…` ones are the SDK's.

use std::time::Duration;

/// The function's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What every name begins with (`TOWER_FORGE_NAME_PREFIX`).
    pub prefix: String,
    /// The permissions boundary that a role gets unless its stack names another (`TOWER_FORGE_PERMISSIONS_BOUNDARY`).
    pub boundary: Option<String>,
    /// Boundaries that a stack may name (`TOWER_FORGE_ALLOWED_BOUNDARIES`).
    pub allowed_boundaries: Vec<String>,
    /// Managed policies that a stack may attach to its instance role (`TOWER_FORGE_ALLOWED_POLICIES`).
    pub allowed_policies: Vec<String>,
    /// Roles that a stack may hand to its jobs, `*` as wildcard (`TOWER_FORGE_ALLOWED_ROLES`).
    pub allowed_roles: Vec<String>,
    /// Whether this function may make EFS file systems (`TOWER_FORGE_FEATURES`).
    pub efs: bool,
    /// Whether this function may make FSx file systems (`TOWER_FORGE_FEATURES`).
    pub fsx: bool,
    /// How long a replaced generation is kept at least (`TOWER_FORGE_RETIRE_AFTER`, seconds).
    pub retire_after: Duration,
    /// Whether this is a local run: response URLs may be unsigned and on loopback (`TOWER_FORGE_LOCAL=1`).
    pub local: bool,
    /// How fast time passes for our own waits and limits.
    pub pace: Pace,
}

/// The length of our own waits and limits: AWS's seconds on AWS, a fraction of them in a local cloud.
#[derive(Clone, Copy, Debug)]
pub struct Pace(f64);

impl Pace {
    /// Real time.
    pub const REAL: Self = Self(1.0);

    /// So many seconds of AWS's time.
    pub fn seconds(self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds * self.0).max(0.0))
    }

    /// How long a real duration is in AWS's time, in seconds.
    pub fn aws_seconds(self, real: Duration) -> f64 {
        real.as_secs_f64() / self.0
    }
}

impl Settings {
    /// Reads the environment.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text =
            |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let list = |name: &str| {
            let text = text(name).unwrap_or_default();
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        // An empty text means neither; only a variable that is not there means both.
        let features = variable("TOWER_FORGE_FEATURES").unwrap_or_else(|| "efs,fsx".to_owned());
        let has = |feature: &str| features.split(',').any(|item| item.trim() == feature);
        let local = text("TOWER_FORGE_LOCAL").as_deref() == Some("1");
        let scale = text("TOWER_FORGE_TIME_SCALE").filter(|_| local).and_then(|text| text.parse().ok());
        Self {
            prefix: text("TOWER_FORGE_NAME_PREFIX").unwrap_or_else(|| crate::name::PREFIX.to_owned()),
            boundary: text("TOWER_FORGE_PERMISSIONS_BOUNDARY"),
            allowed_boundaries: list("TOWER_FORGE_ALLOWED_BOUNDARIES"),
            allowed_policies: list("TOWER_FORGE_ALLOWED_POLICIES"),
            allowed_roles: list("TOWER_FORGE_ALLOWED_ROLES"),
            efs: has("efs"),
            fsx: has("fsx"),
            retire_after: Duration::from_secs(
                text("TOWER_FORGE_RETIRE_AFTER").and_then(|text| text.parse().ok()).unwrap_or(3600),
            ),
            local,
            pace: Pace(scale.unwrap_or(1.0)),
        }
    }
}

/// Where the function's own log lines go, for the person who reads a Reason (`AWS_LAMBDA_LOG_STREAM_NAME`).
pub fn log_stream() -> String {
    std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_else(|_| "local".to_owned())
}

/// The name by which the function invokes itself (`AWS_LAMBDA_FUNCTION_NAME`).
pub fn function_name() -> Option<String> {
    std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok().filter(|name| !name.is_empty() && name != "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_scaled_in_local_runs_only() {
        let variables = |local: &'static str| {
            move |name: &str| match name {
                "TOWER_FORGE_LOCAL" => Some(local.to_owned()),
                "TOWER_FORGE_TIME_SCALE" => Some("0.01".to_owned()),
                _ => None,
            }
        };
        assert_eq!(Settings::from_variables(variables("1")).pace.seconds(100.0), Duration::from_secs(1));
        assert_eq!(Settings::from_variables(variables("0")).pace.seconds(100.0), Duration::from_secs(100));
    }

    #[test]
    fn everything_has_a_default() {
        let settings = Settings::from_variables(|_| None);
        assert_eq!(settings.prefix, "TowerForge");
        assert!(settings.efs && settings.fsx && !settings.local);
        assert_eq!(settings.retire_after, Duration::from_hours(1));
    }
}
