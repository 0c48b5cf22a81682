//! The properties of `Custom::TowerForge`.
//!
//! [`parse`] is strict and reports all faults at once, before any AWS call. [`identity`] leniently reads the properties
//! that Delete needs, because they may have been refused before. [`table`] describes every property; the documentation
//! and the JSON Schema are generated from it.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::event::AccountScope;

mod allowed;
mod checks;
#[cfg(test)]
mod docs;
mod fault;
#[cfg(test)]
mod forge_options;
mod identity;
mod parse;
mod read;
mod resolved;
mod rules;
#[cfg(test)]
mod schema;
pub mod table;
mod tags;
#[cfg(test)]
mod tests;

pub use allowed::Allowed;
pub use fault::Fault;
pub use identity::{Identity, dispose_on_deletion, forge_id, identity};

/// Reads the properties of a Create or an Update.
///
/// # Errors
///
/// All faults of the properties, never an empty list: unknown names first, then single values, then conflicts.
/// [`Allowed`] tells which properties go beyond what the deployment allows.
pub fn parse(raw: &Map<String, Value>, limits: &Limits) -> Result<Properties, Vec<Fault>> {
    parse::parse(raw, limits)
}

/// The limits that the deployed function sets for its stacks.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The function's own region; a forge cannot be elsewhere.
    pub region: String,
    /// The function's own account: roles and scheduling policies must be in it.
    pub account: AccountScope,
    /// The prefix of the names of a forge's resources.
    pub name_prefix: String,
    /// What the deployer allows stacks to name.
    pub allowed: Allowed,
    /// Whether the function was deployed with the permissions for EFS.
    pub efs: bool,
    /// Whether the function was deployed with the permissions for FSx.
    pub fsx: bool,
}

impl Limits {
    /// The properties that go beyond what the deployer allows.
    pub fn beyond(&self, properties: &Properties) -> Vec<Fault> {
        self.allowed.faults(properties, &self.account, &self.region)
    }
}

/// The properties of a forge, checked and canonical: equivalent properties are equal.
///
/// A field has the stack's value, or the default if that is fixed. The method of the field's name resolves a default
/// that depends on other properties; the field is then empty. Lists are sorted and without duplicates if their order
/// has no meaning.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of the same name")]
pub struct Properties {
    // Where pipelines work, and how.
    /// Nextflow's work directory.
    pub work_dir: WorkDir,
    /// Whether Nextflow runs its containers through Wave.
    pub wave_enabled: bool,
    /// Whether tasks reach S3 through the Fusion file system instead of the AWS CLI.
    pub fusion2_enabled: bool,
    /// Whether Fusion keeps its cache on the instances' own NVMe disks.
    pub nvme_storage_enabled: bool,
    /// Whether tasks resume from a snapshot after a spot reclaim.
    pub fusion_snapshots: bool,
    /// Path of the AWS CLI on the instances; see [`Properties::cli_path`].
    pub cli_path: Option<String>,

    // The compute environments.
    /// Spot or on-demand instances for tasks.
    pub r#type: Provisioning,
    /// vCPUs that are kept running.
    pub min_cpus: i32,
    /// Maximum vCPUs of the work environment.
    pub max_cpus: i32,
    /// Maximum vCPUs of the head environment.
    pub head_max_cpus: i32,
    /// Instance types and families as given, sorted; see [`Properties::instance_types`].
    pub instance_types: Vec<String>,
    /// How Batch chooses among the instance types; see [`Properties::alloc_strategy`].
    pub alloc_strategy: Option<AllocStrategy>,
    /// Highest spot price in percent of the on-demand price; see [`Properties::bid_percentage`].
    pub bid_percentage: Option<i32>,
    /// Whether an on-demand environment is the fallback of the spot one.
    pub on_demand_fallback: bool,
    /// Whether instances run the GPU-optimised image.
    pub gpu_enabled: bool,
    /// Whether instances are Graviton.
    pub arm64_enabled: bool,
    /// Whether the head job runs on Fargate.
    pub fargate_head_enabled: bool,
    /// Whether there is a DRAGEN queue.
    pub dragen_enabled: bool,
    /// Image of the DRAGEN environment.
    pub dragen_ami_id: Option<String>,
    /// Instance type of the DRAGEN environment; see [`Properties::dragen_instance_type`].
    pub dragen_instance_type: Option<String>,
    /// Image of the instances, instead of the newest one of ECS.
    pub image_id: Option<String>,
    /// Any change of this text starts a new generation, with the newest image.
    pub image_refresh: Option<String>,
    /// Key pair for SSH.
    pub ec2_key_pair: Option<String>,
    /// Lines for `ecs.config`, in the stack's order.
    pub ecs_config: Vec<String>,

    // The queues.
    /// Seconds after which Batch cancels a RUNNABLE job that cannot run.
    pub job_state_time_limit: Option<i32>,
    /// Fair-share scheduling policy of the work and DRAGEN queues.
    pub scheduling_policy_arn: Option<String>,
    /// Share of the tasks in a queue with a policy; see [`Properties::share_identifier`].
    pub share_identifier: Option<String>,

    // The network.
    /// VPC; the default one where absent.
    pub vpc_id: Option<String>,
    /// Subnets, sorted; all of the VPC's where empty.
    pub subnets: Vec<String>,
    /// Security groups, sorted; the VPC's default one where empty.
    pub security_groups: Vec<String>,

    // Disks and file systems.
    /// Size of the root volume in GiB; see [`Properties::ebs_boot_size`].
    pub ebs_boot_size: Option<i32>,
    /// Whether the root volume is encrypted.
    pub ebs_encrypted: bool,
    /// Key of the root volume: an ID, an alias, or the ARN of either.
    pub ebs_kms_key_id: Option<String>,
    /// Throughput of the root volume in MiB/s; see [`Properties::ebs_throughput`].
    pub ebs_throughput: Option<i32>,
    /// IOPS of the root volume; see [`Properties::ebs_iops`].
    pub ebs_iops: Option<i32>,
    /// Whether the forge creates an EFS file system.
    pub efs_create: bool,
    /// An existing EFS file system.
    pub efs_id: Option<String>,
    /// Mount path of EFS; see [`Properties::efs_mount`].
    pub efs_mount: Option<String>,
    /// Size in GiB of the FSx for Lustre file system that the forge creates.
    pub fsx_size: Option<i32>,
    /// DNS name of an existing FSx for Lustre file system.
    pub fsx_name: Option<String>,
    /// Subnet of the Lustre file system that the forge creates; a regional one of `subnets` where absent.
    pub fsx_subnet: Option<String>,
    /// Mount path of Lustre; see [`Properties::fsx_mount`].
    pub fsx_mount: Option<String>,
    /// Deployment type of the Lustre file system; see [`Properties::fsx_deployment_type`].
    pub fsx_deployment_type: Option<FsxDeploymentType>,
    /// Lustre throughput in MB/s per TiB; see [`Properties::fsx_throughput`].
    pub fsx_throughput: Option<i32>,

    // Permissions.
    /// Names of additional buckets that tasks may read and write, sorted; see [`Properties::buckets`].
    pub allow_buckets: Vec<String>,
    /// More buckets, or prefixes in them (`bucket/prefix`), that tasks may read, sorted; `*` for all. See
    /// [`Properties::read_buckets`].
    pub read_buckets: Vec<String>,
    /// ECS task execution role, instead of the forge's own.
    pub execution_role: Option<String>,
    /// Role of the head job.
    pub head_job_role: Option<String>,
    /// Role of tasks.
    pub compute_job_role: Option<String>,
    /// Permissions boundary of every role, instead of the function's.
    pub permissions_boundary: Option<String>,
    /// More managed policies of the instance role, sorted.
    pub instance_role_policies: Vec<String>,
    /// More statements of the instance role.
    pub instance_role_statements: Vec<Value>,
    /// Whether pipelines may read the secrets that Seqera Platform keeps for them.
    pub pipeline_secrets: bool,

    // Seen by Nextflow only: they go into the attribute `NextflowConfig`.
    /// vCPUs of the head job.
    pub head_job_cpus: Option<i32>,
    /// Memory of the head job in MiB.
    pub head_job_memory_mb: Option<i32>,
    /// Log group that jobs write to; Batch's own where absent.
    pub log_group: Option<String>,
    /// Host paths to mount into tasks, in the stack's order: `/host`, `/host:/container` or `/host:/container:ro`.
    pub volumes: Vec<String>,
    /// Environment variables, sorted by name.
    pub environment: Vec<EnvironmentVariable>,
    /// Shell script that runs before each pipeline.
    pub pre_run_script: Option<String>,
    /// Shell script that runs after each pipeline.
    pub post_run_script: Option<String>,
    /// More text for the configuration.
    pub nextflow_config: Option<String>,

    // The forge itself.
    /// The forge ID that the stack chose.
    pub forge_id: Option<String>,
    /// Whether Delete removes the forge's resources.
    pub dispose_on_deletion: bool,
    /// Any change of this text triggers an Update, and has no other effect.
    pub nonce: Option<String>,
    /// Days that the instances' log is kept.
    pub log_retention_days: i32,
    /// The user's tags; never ours or AWS's.
    pub tags: BTreeMap<String, String>,
}

/// Nextflow's work directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkDir {
    /// A bucket, and a prefix in it without slashes at either end (empty: the bucket itself).
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// An absolute path at or below the mount of a file system.
    Path(String),
}

impl fmt::Display for WorkDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// An environment variable of jobs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether head jobs have it.
    pub head: bool,
    /// Whether tasks have it.
    pub compute: bool,
}

/// Spot or on-demand instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// Spot instances for tasks, an on-demand instance for the head job.
    Spot,
    /// On-demand instances for both.
    Ec2,
}

/// How Batch chooses among instance types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocStrategy {
    /// The best-fitting type, waiting for capacity.
    BestFit,
    /// The best-fitting type with capacity.
    BestFitProgressive,
    /// The spot types least likely to be reclaimed.
    SpotCapacityOptimized,
    /// The same, at a good price.
    SpotPriceCapacityOptimized,
}

/// How FSx deploys a Lustre file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsxDeploymentType {
    /// Not replicated.
    Scratch2,
    /// Replicated, 50 to 200 MB/s per TiB.
    Persistent1,
    /// Replicated, 125 to 1000 MB/s per TiB.
    Persistent2,
}
