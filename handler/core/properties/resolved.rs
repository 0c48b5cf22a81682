//! Defaults that depend on other properties, and values derived from several of them.
//!
//! **Invariant**: the values here are frozen. They are part of the hash of a generation, so another default would
//! replace the environments of every forge without the property.

use std::collections::BTreeSet;

use super::{AllocStrategy, FsxDeploymentType, Identity, Properties, Provisioning, WorkDir};

/// Where the AWS CLI is on an instance of ours.
const CLI_PATH: &str = "/home/ec2-user/miniconda/bin/aws";
/// Public buckets of reference data and test data that nf-core pipelines read.
const PUBLIC_DATA: &[&str] = &["nf-core-awsmegatests", "ngi-igenomes"];
/// Families with NVMe disks, for `NvmeStorageEnabled`.
const NVME: &[&str] = &["c5ad", "c5d", "c6id", "i3", "i4i", "m5ad", "m5d", "m6id", "r5ad", "r5d", "r6id"];
/// The same for Graviton.
const NVME_ARM64: &[&str] = &["c6gd", "m6gd", "r6gd"];
/// Graviton families.
const ARM64: &[&str] = &["c6g", "m6g", "r6g"];

impl Provisioning {
    /// All of them, in AWS's spelling.
    pub const ALL: &[(&str, Self)] = &[("SPOT", Self::Spot), ("EC2", Self::Ec2)];

    /// The name in AWS's spelling.
    pub fn as_str(self) -> &'static str {
        name_in(Self::ALL, self)
    }
}

impl AllocStrategy {
    /// All of them, in AWS's spelling.
    pub const ALL: &[(&str, Self)] = &[
        ("BEST_FIT", Self::BestFit),
        ("BEST_FIT_PROGRESSIVE", Self::BestFitProgressive),
        ("SPOT_CAPACITY_OPTIMIZED", Self::SpotCapacityOptimized),
        ("SPOT_PRICE_CAPACITY_OPTIMIZED", Self::SpotPriceCapacityOptimized),
    ];

    /// The name in AWS's spelling.
    pub fn as_str(self) -> &'static str {
        name_in(Self::ALL, self)
    }

    /// Whether the strategy is one for spot instances only.
    pub fn is_spot(self) -> bool {
        matches!(self, Self::SpotCapacityOptimized | Self::SpotPriceCapacityOptimized)
    }
}

impl FsxDeploymentType {
    /// All of them, in AWS's spelling.
    pub const ALL: &[(&str, Self)] = &[
        ("SCRATCH_2", Self::Scratch2),
        ("PERSISTENT_1", Self::Persistent1),
        ("PERSISTENT_2", Self::Persistent2),
    ];

    /// The name in AWS's spelling.
    pub fn as_str(self) -> &'static str {
        name_in(Self::ALL, self)
    }

    /// The allowed values of `FsxThroughput`, the default first; empty if FSx accepts none.
    pub fn throughputs(self) -> &'static [i32] {
        match self {
            Self::Scratch2 => &[],
            Self::Persistent1 => &[50, 100, 200],
            Self::Persistent2 => &[125, 250, 500, 1000],
        }
    }
}

fn name_in<T: Copy + PartialEq>(all: &'static [(&'static str, T)], one: T) -> &'static str {
    all.iter().find(|(_, each)| *each == one).map(|(name, _)| *name).expect("ALL names every variant")
}

impl Properties {
    /// The properties that a queue cannot change.
    pub fn identity(&self) -> Identity {
        Identity {
            arm64: self.arm64_enabled,
            fargate_head: self.fargate_head_enabled,
            scheduling_policy: self.scheduling_policy_arn.is_some(),
        }
    }

    /// Whether tasks run on spot instances.
    pub fn is_spot(&self) -> bool {
        self.r#type == Provisioning::Spot
    }

    /// Whether head jobs have a separate environment. On-demand forges run them beside the tasks.
    pub fn has_head_environment(&self) -> bool {
        self.is_spot() || self.fargate_head_enabled
    }

    /// Whether Batch requires a spot fleet role: only with spot and `BEST_FIT`.
    pub fn needs_fleet_role(&self) -> bool {
        self.is_spot() && self.alloc_strategy() == AllocStrategy::BestFit
    }

    /// Instance types of the work environment, sorted.
    pub fn instance_types(&self) -> Vec<String> {
        if !self.instance_types.is_empty() {
            return self.instance_types.clone();
        }
        let families = match (self.nvme_storage_enabled, self.arm64_enabled) {
            (true, false) => NVME,
            (true, true) => NVME_ARM64,
            (false, true) => ARM64,
            (false, false) => &["optimal"],
        };
        families.iter().map(ToString::to_string).collect()
    }

    /// Instance types of the head environment, where that is not Fargate.
    pub fn head_instance_types(&self) -> Vec<String> {
        let families: &[&str] = if self.arm64_enabled { ARM64 } else { &["optimal"] };
        families.iter().map(ToString::to_string).collect()
    }

    /// How Batch chooses among the work environment's instance types.
    pub fn alloc_strategy(&self) -> AllocStrategy {
        self.alloc_strategy.unwrap_or(match self.r#type {
            Provisioning::Spot => AllocStrategy::SpotPriceCapacityOptimized,
            Provisioning::Ec2 => AllocStrategy::BestFitProgressive,
        })
    }

    /// Highest spot price in percent of the on-demand price; nothing for on-demand forges.
    pub fn bid_percentage(&self) -> Option<i32> {
        self.is_spot().then(|| self.bid_percentage.unwrap_or(100))
    }

    /// Instance type of the DRAGEN environment, where there is one.
    pub fn dragen_instance_type(&self) -> Option<&str> {
        self.dragen_enabled.then(|| self.dragen_instance_type.as_deref().unwrap_or("f2.6xlarge"))
    }

    /// Whether Fusion keeps its cache on the root volume, which must then be large and fast.
    pub fn fusion_on_root_volume(&self) -> bool {
        self.fusion2_enabled && !self.nvme_storage_enabled
    }

    /// Size of the root volume in GiB.
    pub fn ebs_boot_size(&self) -> i32 {
        self.ebs_boot_size.unwrap_or(if self.fusion_on_root_volume() { 100 } else { 50 })
    }

    /// Throughput of the root volume in MiB/s; every gp3 volume has 125.
    pub fn ebs_throughput(&self) -> i32 {
        self.ebs_throughput.unwrap_or(if self.fusion_on_root_volume() { 325 } else { 125 })
    }

    /// IOPS of the root volume; every gp3 volume has 3000.
    pub fn ebs_iops(&self) -> i32 {
        self.ebs_iops.unwrap_or(3000)
    }

    /// Whether there is an EFS file system, created or existing.
    pub fn has_efs(&self) -> bool {
        self.efs_create || self.efs_id.is_some()
    }

    /// Whether there is a Lustre file system, created or existing.
    pub fn has_fsx(&self) -> bool {
        self.fsx_size.is_some() || self.fsx_name.is_some()
    }

    /// Where EFS is mounted, where there is one.
    pub fn efs_mount(&self) -> Option<&str> {
        self.has_efs().then(|| self.efs_mount.as_deref().unwrap_or("/mnt/efs"))
    }

    /// Where Lustre is mounted, where there is one.
    pub fn fsx_mount(&self) -> Option<&str> {
        self.has_fsx().then(|| self.fsx_mount.as_deref().unwrap_or("/mnt/fsx"))
    }

    /// Deployment type of the Lustre file system that the forge creates.
    pub fn fsx_deployment_type(&self) -> FsxDeploymentType {
        self.fsx_deployment_type.unwrap_or(FsxDeploymentType::Scratch2)
    }

    /// Throughput in MB/s per TiB, where the deployment type takes one.
    pub fn fsx_throughput(&self) -> Option<i32> {
        self.fsx_throughput.or_else(|| self.fsx_deployment_type().throughputs().first().copied())
    }

    /// Where the AWS CLI is on the instances; nothing with Fusion, which needs none.
    pub fn cli_path(&self) -> Option<&str> {
        (!self.fusion2_enabled).then(|| self.cli_path.as_deref().unwrap_or(CLI_PATH))
    }

    /// Share of the tasks, which a queue with a scheduling policy requires and any other refuses.
    pub fn share_identifier(&self) -> Option<&str> {
        self.scheduling_policy_arn.is_some().then(|| self.share_identifier.as_deref().unwrap_or("nf"))
    }

    /// Log group that jobs write to.
    pub fn log_group(&self) -> &str {
        self.log_group.as_deref().unwrap_or("/aws/batch/job")
    }

    /// What tasks may read besides: buckets, or prefixes in them.
    pub fn read_buckets(&self) -> Vec<String> {
        if self.read_buckets.is_empty() {
            return PUBLIC_DATA.iter().map(ToString::to_string).collect();
        }
        self.read_buckets.clone()
    }

    /// Buckets that tasks may read and write: that of the work directory, and `AllowBuckets`.
    pub fn buckets(&self) -> BTreeSet<String> {
        let work = match &self.work_dir {
            WorkDir::S3 { bucket, .. } => Some(bucket.clone()),
            WorkDir::Path(_) => None,
        };
        self.allow_buckets.iter().cloned().chain(work).collect()
    }
}
