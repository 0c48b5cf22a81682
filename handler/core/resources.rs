//! One file per kind: what a resource of the kind should be, what AWS says it is, and the calls in between. PURE.

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
