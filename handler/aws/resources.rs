//! One file per kind: how AWS is asked for it, and how each mutating call becomes a request. Mapping only.

pub(crate) mod compute_environment;
pub(crate) mod efs;
pub(crate) mod fsx;
pub(crate) mod instance_profile;
pub(crate) mod job_queue;
pub(crate) mod launch_template;
pub(crate) mod log_group;
pub(crate) mod role;
