//! Properties that exclude each other, with the text of each refusal.

use expect_test::expect;
use serde_json::json;

use super::super::parse;
use super::{limits, lines, refused, with};

#[test]
fn fusion_needs_wave() {
    refused(
        json!({ "Fusion2Enabled": "true" }),
        expect![[r#"
        Fusion2Enabled: given true, allowed: only with WaveEnabled: true; Wave puts Fusion into the containers
    "#]],
    );
}

#[test]
fn nvme_needs_fusion_and_families_with_disks() {
    refused(
        json!({ "NvmeStorageEnabled": true }),
        expect![[r#"
        NvmeStorageEnabled: given true, allowed: only with Fusion2Enabled: true; the disks serve as Fusion's cache
    "#]],
    );
    refused(
        json!({ "WaveEnabled": 1 }),
        expect![[r#"
        WaveEnabled: given 1, allowed: true or false
    "#]],
    );
    refused(
        json!({ "NvmeStorageEnabled": true, "Fusion2Enabled": true, "WaveEnabled": true, "InstanceTypes": "optimal,c6id,m5.large" }),
        expect![[r#"
            InstanceTypes: given "optimal,c6id,m5.large", allowed: families with NVMe disks, such as c6id, m6id and r6id; m5.large, optimal may have no NVMe disks
        "#]],
    );
}

#[test]
fn snapshots_need_fusion() {
    refused(
        json!({ "FusionSnapshots": true }),
        expect![[r#"
        FusionSnapshots: given true, allowed: only with Fusion2Enabled: true; Fusion takes the snapshots
    "#]],
    );
}

#[test]
fn fusion_goes_without_the_cli() {
    refused(
        json!({ "CliPath": "/opt/conda/bin/aws", "Fusion2Enabled": true, "WaveEnabled": true }),
        expect![[r#"
            CliPath: given "/opt/conda/bin/aws", allowed: only without Fusion2Enabled; Fusion replaces the AWS CLI, which is not installed then
        "#]],
    );
}

/// Nextflow refuses any other ending, and would mount the root of the file system into each task for `/bin/aws`.
#[test]
fn the_cli_is_in_a_bin_folder_below_another_one() {
    for path in ["/bin/aws", "/opt/conda/aws", "/opt/conda/bin/aws2", "/opt/conda/sbin/aws"] {
        let allowed = "an absolute path that ends in /bin/aws, such as /opt/conda/bin/aws, of letters, digits and -_.+=@";
        let faults = parse(&with(json!({ "CliPath": path })), &limits()).unwrap_err();
        assert_eq!(lines(&faults), format!("CliPath: given {path:?}, allowed: {allowed}\n"));
    }
}

#[test]
fn a_fargate_head_has_its_conditions() {
    refused(
        json!({ "FargateHeadEnabled": true, "Type": "EC2", "EfsCreate": true, "FsxSize": 1200 }),
        expect![[r#"
            FargateHeadEnabled: given true, allowed: only with Type: SPOT; on-demand forges run head jobs beside the tasks
            FargateHeadEnabled: given true, allowed: only with Fusion2Enabled: true; the head job on Fargate has no AWS CLI
            FargateHeadEnabled: given true, allowed: only without EfsCreate and EfsId; Fargate cannot mount the instances' file system
            FargateHeadEnabled: given true, allowed: only without FsxSize and FsxName; Fargate cannot mount the instances' file system
        "#]],
    );
    refused(
        json!({ "FargateHeadEnabled": true, "Fusion2Enabled": true, "WaveEnabled": true, "HeadJobCpus": 3 }),
        expect![[r#"
            HeadJobCpus: given 3, allowed: 1, 2, 4, 8 or 16 with FargateHeadEnabled; Fargate has no other sizes
        "#]],
    );
    let many = |kind: &str, count: usize| (0..count).map(|n| format!("{kind}-{n:08}")).collect::<Vec<_>>();
    let networks = json!({
        "FargateHeadEnabled": true, "Fusion2Enabled": true, "WaveEnabled": true,
        "Subnets": many("subnet", 17), "SecurityGroups": many("sg", 6),
    });
    let faults = parse(&with(networks), &limits()).unwrap_err();
    let said = lines(&faults);
    assert!(said.contains("allowed: up to 16 subnets with FargateHeadEnabled"), "{said}");
    assert!(said.contains("allowed: up to 5 security groups with FargateHeadEnabled"), "{said}");
}

#[test]
fn graviton_has_its_conditions() {
    refused(
        json!({ "Arm64Enabled": true, "GpuEnabled": true, "InstanceTypes": "m6g,m6i,optimal" }),
        expect![[r#"
            Arm64Enabled: given true, allowed: only with FargateHeadEnabled: true; the head job would need an image of the other architecture
            Arm64Enabled: given true, allowed: only with WaveEnabled: true; Wave provides the images for Graviton
            Arm64Enabled: given true, allowed: only with Fusion2Enabled: true; the AWS CLI that tasks share is built for x86
            Arm64Enabled: given true, allowed: only without GpuEnabled; ECS has no GPU image for Graviton
            InstanceTypes: given "m6g,m6i,optimal", allowed: Graviton families, such as c6g, m6g and r6g; m6i, optimal: x86, and Arm64Enabled is true
        "#]],
    );
    refused(
        json!({ "InstanceTypes": "m6g,c5,default_arm64" }),
        expect![[r#"
        InstanceTypes: given "m6g,c5,default_arm64", allowed: x86 families, or Arm64Enabled: true; default_arm64, m6g: Graviton, and a queue has one architecture
    "#]],
    );
}

#[test]
fn dragen_options_need_dragen() {
    refused(
        json!({ "DragenAmiId": "ami-01234567", "DragenInstanceType": "f1.4xlarge" }),
        expect![[r#"
        DragenAmiId: given "ami-01234567", allowed: only with DragenEnabled: true; otherwise there is no DRAGEN environment
        DragenInstanceType: given "f1.4xlarge", allowed: only with DragenEnabled: true; otherwise there is no DRAGEN environment
    "#]],
    );
    refused(
        json!({ "DragenEnabled": true, "DragenInstanceType": "m5.large" }),
        expect![[r#"
        DragenInstanceType: given "m5.large", allowed: f1.2xlarge, f1.4xlarge, f1.16xlarge, f2.6xlarge, f2.12xlarge or f2.48xlarge
    "#]],
    );
}

#[test]
fn spot_options_need_spot() {
    refused(
        json!({ "Type": "EC2", "AllocStrategy": "SPOT_CAPACITY_OPTIMIZED", "BidPercentage": 50, "OnDemandFallback": true }),
        expect![[r#"
            AllocStrategy: given "SPOT_CAPACITY_OPTIMIZED", allowed: BEST_FIT or BEST_FIT_PROGRESSIVE with Type: EC2; Batch refuses spot strategies for on-demand instances
            BidPercentage: given 50, allowed: only with Type: SPOT; on-demand instances have a fixed price
            OnDemandFallback: given true, allowed: only with Type: SPOT; all instances are on-demand already
        "#]],
    );
    refused(
        json!({ "BidPercentage": 101 }),
        expect![[r#"
        BidPercentage: given 101, allowed: an integer from 1 to 100
    "#]],
    );
    refused(
        json!({ "AllocStrategy": "BEST_FIT_PROGRESIVE" }),
        expect![[r#"
        AllocStrategy: given "BEST_FIT_PROGRESIVE", allowed: BEST_FIT, BEST_FIT_PROGRESSIVE, SPOT_CAPACITY_OPTIMIZED or SPOT_PRICE_CAPACITY_OPTIMIZED; did you mean BEST_FIT_PROGRESSIVE?
    "#]],
    );
}

#[test]
fn a_share_needs_a_scheduling_policy() {
    refused(
        json!({ "ShareIdentifier": "blue" }),
        expect![[r#"
            ShareIdentifier: given "blue", allowed: only with SchedulingPolicyArn; a first-in, first-out queue refuses jobs with one
        "#]],
    );
}

#[test]
fn vcpus_are_in_order() {
    refused(
        json!({ "MinCpus": 501 }),
        expect![[r#"
        MinCpus: given 501, allowed: up to MaxCpus
    "#]],
    );
    refused(
        json!({ "MaxCpus": 0, "MinCpus": -1, "HeadMaxCpus": "1.5" }),
        expect![[r#"
        MinCpus: given -1, allowed: an integer from 0 to MaxCpus
        MaxCpus: given 0, allowed: an integer from 1
        HeadMaxCpus: given "1.5", allowed: an integer from 1
    "#]],
    );
}

#[test]
fn root_volumes_are_those_of_gp3() {
    refused(
        json!({ "EbsEncrypted": "false", "EbsKmsKeyId": "alias/own" }),
        expect![[r#"
        EbsKmsKeyId: given "alias/own", allowed: only with EbsEncrypted: true; an unencrypted volume has no key
    "#]],
    );
    refused(
        json!({ "EbsThroughput": 1000 }),
        expect![[r#"
        EbsThroughput: given 1000, allowed: up to 750 with 3000 IOPS; gp3 needs 4 IOPS per MiB/s
    "#]],
    );
    refused(
        json!({ "EbsIops": 5000, "EbsBootSize": 8 }),
        expect![[r#"
        EbsIops: given 5000, allowed: up to 4000 with 8 GiB; gp3 allows 500 IOPS per GiB
    "#]],
    );
    refused(
        json!({ "EbsKmsKeyId": "arn:aws:kms:us-east-1:123456789012:alias/own", "EbsBootSize": 7 }),
        expect![[r#"
            EbsBootSize: given 7, allowed: an integer from 8 to 16384, not smaller than the snapshot of the image: 30 for the ECS image
            EbsKmsKeyId: given "arn:aws:kms:us-east-1:123456789012:alias/own", allowed: a KMS key's ID, alias, or ARN in this region
        "#]],
    );
}

#[test]
fn one_file_system_of_each_sort() {
    refused(
        json!({ "EfsCreate": true, "EfsId": "fs-01234567" }),
        expect![[r#"
        EfsId: given "fs-01234567", allowed: only without EfsCreate; a forge has one EFS file system, created or existing
    "#]],
    );
    refused(
        json!({ "FsxSize": 1200, "FsxName": "fs-01234567.fsx.eu-west-1.amazonaws.com" }),
        expect![[r#"
        FsxName: given "fs-01234567.fsx.eu-west-1.amazonaws.com", allowed: only without FsxSize; a forge has one Lustre file system, created or existing
    "#]],
    );
    refused(
        json!({ "EfsMount": "/data", "FsxMount": "/data" }),
        expect![[r#"
        EfsMount: given "/data", allowed: only with EfsCreate or EfsId; otherwise there is nothing to mount
        FsxMount: given "/data", allowed: only with FsxSize or FsxName; otherwise there is nothing to mount
    "#]],
    );
    refused(
        json!({ "EfsCreate": true, "FsxSize": 1200, "EfsMount": "/data", "FsxMount": "/data/fast" }),
        expect![[r#"
            FsxMount: given "/data/fast", allowed: a path apart from EfsMount; one mount would hide the other
        "#]],
    );
    refused(
        json!({ "EfsCreate": true, "FsxSize": 1200, "EfsMount": "/data/fast/home", "FsxMount": "/data/fast" }),
        expect![[r#"
            FsxMount: given "/data/fast", allowed: a path apart from EfsMount; one mount would hide the other
        "#]],
    );
}

#[test]
fn lustre_options_fit_the_deployment_type() {
    refused(
        json!({ "FsxDeploymentType": "SCRATCH_2", "FsxThroughput": 200, "FsxSubnet": "subnet-01234567" }),
        expect![[r#"
        FsxDeploymentType: given "SCRATCH_2", allowed: only with FsxSize; it applies to the file system that the forge creates
        FsxSubnet: given "subnet-01234567", allowed: only with FsxSize; it applies to the file system that the forge creates
        FsxThroughput: given 200, allowed: only with FsxSize; it applies to the file system that the forge creates
    "#]],
    );
    refused(
        json!({ "FsxSize": 1200, "FsxThroughput": 200 }),
        expect![[r#"
        FsxThroughput: given 200, allowed: only with a PERSISTENT deployment type; FSx supports these values for SCRATCH_2
    "#]],
    );
    refused(
        json!({ "FsxSize": 1200, "FsxThroughput": 200, "FsxDeploymentType": "PERSISTENT_2" }),
        expect![[r#"
        FsxThroughput: given 200, allowed: 125, 250, 500, 1000; FSx supports these values for PERSISTENT_2
    "#]],
    );
    refused(
        json!({ "FsxSize": 1800 }),
        expect![[r#"
        FsxSize: given 1800, allowed: 1200, or a multiple of 2400
    "#]],
    );
}

#[test]
fn work_is_where_all_instances_find_it() {
    refused(
        json!({ "WorkDir": "/mnt/efs/work" }),
        expect![[r#"
        WorkDir: given "/mnt/efs/work", allowed: s3://bucket/path, or a path with EfsCreate, EfsId, FsxSize or FsxName; tasks on other instances could not read it
    "#]],
    );
    refused(
        json!({ "WorkDir": "/mnt/efsx/work", "EfsCreate": true }),
        expect![[r#"
        WorkDir: given "/mnt/efsx/work", allowed: s3://bucket/path, or a path at or below /mnt/efs; tasks on other instances could not read it
    "#]],
    );
    refused(
        json!({ "WorkDir": "s3://Bucket" }),
        expect![[r#"
            WorkDir: given "s3://Bucket", allowed: s3://bucket/path, or an absolute path on the EFS or FSx mount, of letters, digits and -_.+=@
        "#]],
    );
    refused(
        json!({ "WorkDir": "relative" }),
        expect![[r#"
            WorkDir: given "relative", allowed: s3://bucket/path, or an absolute path on the EFS or FSx mount, of letters, digits and -_.+=@
        "#]],
    );
    refused(
        json!({ "WorkDir": "s3://bucket/it's" }),
        expect![[r#"
            WorkDir: given "s3://bucket/it's", allowed: s3://bucket/path, or an absolute path on the EFS or FSx mount, of letters, digits and -_.+=@
        "#]],
    );
    refused(
        json!({ "WorkDir": "/mnt/efs", "EfsCreate": true, "Fusion2Enabled": true, "WaveEnabled": true }),
        expect![[r#"
            WorkDir: given "/mnt/efs", allowed: s3://bucket/path with Fusion2Enabled; Fusion works on S3
        "#]],
    );
}
