//! How AWS does it: one file per kind.

pub mod batch;
pub mod compute_environment;
pub mod efs;
pub mod fsx;
pub mod instance_profile;
pub mod job_queue;
pub mod launch_template;
pub mod log_group;
pub mod role;
