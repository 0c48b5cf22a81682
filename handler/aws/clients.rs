//! The clients, made once per cold start.

use super::http::sdk_client;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::region::Region;
use std::time::Duration;
use tower_forge_core::claim::Timing;
use tower_forge_edge::clock::HostClock;
use tower_forge_edge::environment::Access;

/// The clients and their shared configuration.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// For reads, which are tried again.
    pub(crate) read: Services,
    /// For mutating calls: one attempt, which has ended when it returns. Every further one is the engine's.
    pub(crate) write: Services,
    /// Whether CloudFormation shows an operation; an answer that does not come soon does not matter.
    pub(crate) cloudformation: aws_sdk_cloudformation::Client,
    /// The function itself, for waits longer than one invocation.
    pub(crate) lambda: aws_sdk_lambda::Client,
    /// The region that the function runs in.
    pub(crate) region: String,
}

/// One client per service whose resources a forge consists of.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    /// Compute environments, job queues.
    pub(crate) batch: aws_sdk_batch::Client,
    /// Launch templates, and the network.
    pub(crate) ec2: aws_sdk_ec2::Client,
    /// EFS.
    pub(crate) efs: aws_sdk_efs::Client,
    /// FSx.
    pub(crate) fsx: aws_sdk_fsx::Client,
    /// Roles and instance profiles.
    pub(crate) iam: aws_sdk_iam::Client,
    /// Log groups.
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
}

impl Services {
    fn new(config: &SdkConfig) -> Self {
        Self {
            batch: aws_sdk_batch::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            efs: aws_sdk_efs::Client::new(config),
            fsx: aws_sdk_fsx::Client::new(config),
            iam: aws_sdk_iam::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
        }
    }
}

impl Clients {
    /// Makes them.
    ///
    /// Eight attempts for reads instead of three: control-plane calls of a busy account are throttled for longer than
    /// the default gives them, and each failure would cost a whole stack operation. But never so long that an
    /// invocation's last minute is used up.
    pub(crate) fn new(config: &SdkConfig, clock: &HostClock, timing: &Timing) -> Self {
        let seconds = |seconds: u64| clock.real(Duration::from_secs(seconds)).max(Duration::from_millis(1));
        let timeouts = TimeoutConfig::builder();
        let retry = |attempts: u32| {
            let retry = RetryConfig::standard().with_max_attempts(attempts);
            retry.with_initial_backoff(seconds(1)).with_max_backoff(seconds(20))
        };
        let with = |attempts: u32, timeouts: TimeoutConfig| {
            config.clone().into_builder().retry_config(retry(attempts)).timeout_config(timeouts).build()
        };
        let reads = timeouts.clone().operation_attempt_timeout(Duration::from_secs(30));
        let reads = with(8, reads.operation_timeout(Duration::from_secs(45)).build());
        let writes = with(1, timeouts.clone().operation_timeout(clock.real(timing.call)).build());
        let quick = with(2, timeouts.clone().operation_timeout(Duration::from_secs(5)).build());
        Self {
            read: Services::new(&reads),
            write: Services::new(&writes),
            cloudformation: aws_sdk_cloudformation::Client::new(&quick),
            lambda: aws_sdk_lambda::Client::new(&with(
                4,
                timeouts.operation_timeout(Duration::from_secs(20)).build(),
            )),
            region: config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default(),
        }
    }

    /// The configuration of all clients.
    pub(crate) fn configuration(access: Access) -> SdkConfig {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(sdk_client(access.http))
            .credentials_provider(access.credentials)
            .region(Region::new(access.region));
        config.set_endpoint_url(access.endpoint);
        config.set_app_name(access.app.and_then(|name| AppName::new(name).ok()));
        config.build()
    }
}
