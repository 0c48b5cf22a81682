//! Rules between properties, with reasons.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read::{Reader, scalar};
use super::{Fault, Properties, WorkDir, checks};
use crate::network;

/// Checks all rules. A rule skips properties that already have a fault, because their intended value is unknown.
pub(super) fn check(properties: &Properties, reader: &mut Reader<'_>) {
    let mut rules = Rules {
        faulty: reader
            .faults
            .iter()
            .map(|fault| fault.property.split('.').next().unwrap_or_default().to_owned())
            .collect(),
        reader,
    };
    fusion(properties, &mut rules);
    instances(properties, &mut rules);
    provisioning(properties, &mut rules);
    root_volume(properties, &mut rules);
    file_systems(properties, &mut rules);
    lustre(properties, &mut rules);
    work_dir(properties, &mut rules);
}

struct Rules<'r, 'a> {
    reader: &'r mut Reader<'a>,
    faulty: BTreeSet<String>,
}

impl Rules<'_, '_> {
    /// Records a fault of `name` if the rule is `broken`. The rule also involves the properties `with`.
    fn rule(&mut self, broken: bool, name: &str, with: &[&str], allowed: &str, hint: &str) {
        let unknown = self.faulty.contains(name) || with.iter().any(|other| self.faulty.contains(*other));
        if broken && !unknown {
            let given = self.reader.value(name).cloned().unwrap_or(Value::Null);
            // "true" is how CloudFormation writes true; the answer uses the stack's own spelling.
            let given = match scalar(&given).as_deref() {
                Some("true") => Value::Bool(true),
                Some("false") => Value::Bool(false),
                _ => given,
            };
            self.reader.fault(Fault::rule(name, given, allowed, hint));
        }
    }

    /// The rule that `name` needs the property `other` to be true.
    fn needs(&mut self, said: bool, name: &str, is_true: bool, other: &str, hint: &str) {
        let allowed = format!("only with {other}: true");
        self.rule(said && !is_true, name, &[other], &allowed, hint);
    }
}

fn fusion(p: &Properties, rules: &mut Rules<'_, '_>) {
    let (fusion, wave) = (p.fusion2_enabled, p.wave_enabled);
    rules.needs(fusion, "Fusion2Enabled", wave, "WaveEnabled", "Wave puts Fusion into the containers");
    let hint = "the disks serve as Fusion's cache";
    rules.needs(p.nvme_storage_enabled, "NvmeStorageEnabled", fusion, "Fusion2Enabled", hint);
    rules.needs(
        p.fusion_snapshots,
        "FusionSnapshots",
        fusion,
        "Fusion2Enabled",
        "Fusion takes the snapshots",
    );
    let hint = "Fusion replaces the AWS CLI, which is not installed then";
    rules.rule(
        p.cli_path.is_some() && fusion,
        "CliPath",
        &["Fusion2Enabled"],
        "only without Fusion2Enabled",
        hint,
    );
}

fn instances(p: &Properties, rules: &mut Rules<'_, '_>) {
    let arm64 = p.arm64_enabled;
    let hint = "the head job would need an image of the other architecture";
    rules.needs(arm64, "Arm64Enabled", p.fargate_head_enabled, "FargateHeadEnabled", hint);
    rules.needs(
        arm64,
        "Arm64Enabled",
        p.wave_enabled,
        "WaveEnabled",
        "Wave provides the images for Graviton",
    );
    let hint = "the AWS CLI that tasks share is built for x86";
    rules.needs(arm64, "Arm64Enabled", p.fusion2_enabled, "Fusion2Enabled", hint);
    let hint = "ECS has no GPU image for Graviton";
    rules.rule(arm64 && p.gpu_enabled, "Arm64Enabled", &["GpuEnabled"], "only without GpuEnabled", hint);

    let types = &p.instance_types;
    let wrong =
        |is_wrong: &dyn Fn(&str) -> bool| types.iter().filter(|t| is_wrong(t)).cloned().collect::<Vec<_>>();
    let no_nvme = wrong(&checks::lacks_nvme);
    let hint = format!("{} may have no NVMe disks", no_nvme.join(", "));
    let broken = p.nvme_storage_enabled && !no_nvme.is_empty();
    let allowed = "families with NVMe disks, such as c6id, m6id and r6id";
    rules.rule(broken, "InstanceTypes", &["NvmeStorageEnabled"], allowed, &hint);

    let wrong_architecture = wrong(&|each| checks::is_arm64(each) != arm64);
    let (allowed, says) = if arm64 {
        ("Graviton families, such as c6g, m6g and r6g", "x86, and Arm64Enabled is true")
    } else {
        ("x86 families, or Arm64Enabled: true", "Graviton, and a queue has one architecture")
    };
    let hint = format!("{}: {says}", wrong_architecture.join(", "));
    rules.rule(!wrong_architecture.is_empty(), "InstanceTypes", &["Arm64Enabled"], allowed, &hint);

    let hint = "otherwise there is no DRAGEN environment";
    rules.needs(p.dragen_ami_id.is_some(), "DragenAmiId", p.dragen_enabled, "DragenEnabled", hint);
    rules.needs(
        p.dragen_instance_type.is_some(),
        "DragenInstanceType",
        p.dragen_enabled,
        "DragenEnabled",
        hint,
    );
}

fn provisioning(p: &Properties, rules: &mut Rules<'_, '_>) {
    let on_demand = !p.is_spot();
    let spot_only = "only with Type: SPOT";
    let spot_strategy = p.alloc_strategy.is_some_and(super::AllocStrategy::is_spot);
    let hint = "Batch refuses spot strategies for on-demand instances";
    rules.rule(
        spot_strategy && on_demand,
        "AllocStrategy",
        &["Type"],
        "BEST_FIT or BEST_FIT_PROGRESSIVE with Type: EC2",
        hint,
    );
    let hint = "on-demand instances have a fixed price";
    rules.rule(p.bid_percentage.is_some() && on_demand, "BidPercentage", &["Type"], spot_only, hint);
    let hint = "all instances are on-demand already";
    rules.rule(p.on_demand_fallback && on_demand, "OnDemandFallback", &["Type"], spot_only, hint);
    let hint = "a first-in, first-out queue refuses jobs with one";
    let broken = p.share_identifier.is_some() && p.scheduling_policy_arn.is_none();
    let with = ["SchedulingPolicyArn"];
    rules.rule(broken, "ShareIdentifier", &with, "only with SchedulingPolicyArn", hint);
    rules.rule(p.min_cpus > p.max_cpus, "MinCpus", &["MaxCpus"], "up to MaxCpus", "");

    let fargate = p.fargate_head_enabled;
    let hint = "on-demand forges run head jobs beside the tasks";
    rules.rule(fargate && on_demand, "FargateHeadEnabled", &["Type"], spot_only, hint);
    let hint = "the head job on Fargate has no AWS CLI";
    rules.needs(fargate, "FargateHeadEnabled", p.fusion2_enabled, "Fusion2Enabled", hint);
    let hint = "Fargate cannot mount the instances' file system";
    let efs = ["EfsCreate", "EfsId"];
    rules.rule(fargate && p.has_efs(), "FargateHeadEnabled", &efs, "only without EfsCreate and EfsId", hint);
    let fsx = ["FsxSize", "FsxName"];
    rules.rule(fargate && p.has_fsx(), "FargateHeadEnabled", &fsx, "only without FsxSize and FsxName", hint);
    let (subnets, groups) = (network::FARGATE_SUBNETS, network::FARGATE_SECURITY_GROUPS);
    let (name, with) = ("Subnets", ["FargateHeadEnabled"]);
    let allowed = format!("up to {subnets} subnets with FargateHeadEnabled");
    rules.rule(fargate && p.subnets.len() > subnets, name, &with, &allowed, "Fargate takes no more");
    let allowed = format!("up to {groups} security groups with FargateHeadEnabled");
    let name = "SecurityGroups";
    rules.rule(fargate && p.security_groups.len() > groups, name, &with, &allowed, "Fargate takes no more");
    let broken = fargate && p.head_job_cpus.is_some_and(|cpus| !matches!(cpus, 1 | 2 | 4 | 8 | 16));
    let allowed = "1, 2, 4, 8 or 16 with FargateHeadEnabled";
    rules.rule(broken, "HeadJobCpus", &["FargateHeadEnabled"], allowed, "Fargate has no other sizes");
}

fn root_volume(p: &Properties, rules: &mut Rules<'_, '_>) {
    let (size, iops, throughput) = (p.ebs_boot_size(), p.ebs_iops(), p.ebs_throughput());
    let hint = "an unencrypted volume has no key";
    rules.needs(p.ebs_kms_key_id.is_some(), "EbsKmsKeyId", p.ebs_encrypted, "EbsEncrypted", hint);
    let allowed = format!("up to {} with {iops} IOPS", iops / 4);
    let with = ["EbsIops", "Fusion2Enabled", "NvmeStorageEnabled"];
    rules.rule(throughput > iops / 4, "EbsThroughput", &with, &allowed, "gp3 needs 4 IOPS per MiB/s");
    let allowed = format!("up to {} with {size} GiB", size.saturating_mul(500));
    let with = ["EbsBootSize", "Fusion2Enabled", "NvmeStorageEnabled"];
    rules.rule(iops > size.saturating_mul(500), "EbsIops", &with, &allowed, "gp3 allows 500 IOPS per GiB");
}

fn file_systems(p: &Properties, rules: &mut Rules<'_, '_>) {
    let hint = "otherwise it has no permissions for it";
    let off = "only if the function is deployed with EnableEfs: true";
    let (efs, fsx) = (rules.reader.limits.efs, rules.reader.limits.fsx);
    rules.rule(p.efs_create && !efs, "EfsCreate", &[], off, hint);
    rules.rule(p.efs_id.is_some() && !efs, "EfsId", &[], off, hint);
    let off = "only if the function is deployed with EnableFsx: true";
    rules.rule(p.fsx_size.is_some() && !fsx, "FsxSize", &[], off, hint);
    rules.rule(p.fsx_name.is_some() && !fsx, "FsxName", &[], off, hint);

    let hint = "a forge has one EFS file system, created or existing";
    rules.rule(p.efs_create && p.efs_id.is_some(), "EfsId", &["EfsCreate"], "only without EfsCreate", hint);
    let hint = "a forge has one Lustre file system, created or existing";
    rules.rule(
        p.fsx_size.is_some() && p.fsx_name.is_some(),
        "FsxName",
        &["FsxSize"],
        "only without FsxSize",
        hint,
    );

    let hint = "otherwise there is nothing to mount";
    let with = ["EfsCreate", "EfsId"];
    rules.rule(
        p.efs_mount.is_some() && !p.has_efs(),
        "EfsMount",
        &with,
        "only with EfsCreate or EfsId",
        hint,
    );
    let with = ["FsxSize", "FsxName"];
    rules.rule(
        p.fsx_mount.is_some() && !p.has_fsx(),
        "FsxMount",
        &with,
        "only with FsxSize or FsxName",
        hint,
    );
    if let (Some(efs), Some(fsx)) = (p.efs_mount(), p.fsx_mount()) {
        let nested = checks::is_below(efs, fsx) || checks::is_below(fsx, efs);
        rules.rule(
            nested,
            "FsxMount",
            &["EfsMount"],
            "a path apart from EfsMount",
            "one mount would hide the other",
        );
    }
}

fn lustre(p: &Properties, rules: &mut Rules<'_, '_>) {
    let hint = "it applies to the file system that the forge creates";
    let made = p.fsx_size.is_some();
    rules.rule(
        p.fsx_deployment_type.is_some() && !made,
        "FsxDeploymentType",
        &["FsxSize"],
        "only with FsxSize",
        hint,
    );
    rules.rule(p.fsx_subnet.is_some() && !made, "FsxSubnet", &["FsxSize"], "only with FsxSize", hint);
    rules.rule(p.fsx_throughput.is_some() && !made, "FsxThroughput", &["FsxSize"], "only with FsxSize", hint);
    let kind = p.fsx_deployment_type();
    let allowed = match kind.throughputs() {
        [] => "only with a PERSISTENT deployment type".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let broken = made && p.fsx_throughput.is_some_and(|given| !kind.throughputs().contains(&given));
    let hint = format!("FSx supports these values for {}", kind.as_str());
    rules.rule(broken, "FsxThroughput", &["FsxSize", "FsxDeploymentType"], &allowed, &hint);
}

fn work_dir(p: &Properties, rules: &mut Rules<'_, '_>) {
    let WorkDir::Path(path) = &p.work_dir else { return };
    let mounts: Vec<_> = [p.efs_mount(), p.fsx_mount()].into_iter().flatten().collect();
    let below = mounts.iter().any(|mount| checks::is_below(path, mount));
    let with = ["EfsCreate", "EfsId", "EfsMount", "FsxSize", "FsxName", "FsxMount"];
    let allowed = match mounts.as_slice() {
        [] => "s3://bucket/path, or a path with EfsCreate, EfsId, FsxSize or FsxName".to_owned(),
        some => format!("s3://bucket/path, or a path at or below {}", some.join(" or ")),
    };
    rules.rule(!below, "WorkDir", &with, &allowed, "tasks on other instances could not read it");
    let hint = "Fusion works on S3";
    rules.rule(
        p.fusion2_enabled,
        "WorkDir",
        &["Fusion2Enabled"],
        "s3://bucket/path with Fusion2Enabled",
        hint,
    );
}
