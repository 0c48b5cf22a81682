//! The clients, made once per cold start.

use crate::settings::Pace;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use std::time::Duration;

/// One client per AWS service, and what they share.
#[derive(Clone, Debug)]
pub struct Aws {
    /// Compute environments, job queues.
    pub batch: aws_sdk_batch::Client,
    /// Whether a stack still wants what was asked for.
    pub cloudformation: aws_sdk_cloudformation::Client,
    /// Launch templates, and the network.
    pub ec2: aws_sdk_ec2::Client,
    /// EFS.
    pub efs: aws_sdk_efs::Client,
    /// FSx.
    pub fsx: aws_sdk_fsx::Client,
    /// Roles and instance profiles.
    pub iam: aws_sdk_iam::Client,
    /// The function itself, for waits longer than one invocation.
    pub lambda: aws_sdk_lambda::Client,
    /// Log groups.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// The region that the function runs in.
    pub region: String,
}

impl Aws {
    /// Reads the SDK's standard environment variables.
    ///
    /// Eight attempts instead of three: control-plane calls of a busy account are throttled for longer than the
    /// default gives them, and each failure would cost a whole stack operation.
    pub async fn from_env(pace: Pace) -> Self {
        let retry = RetryConfig::standard()
            .with_max_attempts(8)
            .with_initial_backoff(pace.seconds(1.0).max(Duration::from_millis(1)))
            .with_max_backoff(pace.seconds(20.0).max(Duration::from_millis(2)));
        // An answer that never comes must not use up the invocation.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(3100))
            .operation_attempt_timeout(Duration::from_secs(30))
            .build();
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(retry);
        let config = config.timeout_config(timeouts).load().await;
        Self {
            batch: aws_sdk_batch::Client::new(&config),
            cloudformation: aws_sdk_cloudformation::Client::new(&config),
            ec2: aws_sdk_ec2::Client::new(&config),
            efs: aws_sdk_efs::Client::new(&config),
            fsx: aws_sdk_fsx::Client::new(&config),
            iam: aws_sdk_iam::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            region: config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default(),
        }
    }
}
