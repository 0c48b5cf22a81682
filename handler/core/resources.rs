//! One file per kind: desired state, observed state, and the calls between them. PURE.

pub mod compute_environment;
pub mod efs;
pub mod fsx;
pub mod instance_profile;
pub mod job_queue;
pub mod launch_template;
pub mod log_group;
pub mod role;

/// The last part of an ARN or path: the name.
pub fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
