//! The options of Seqera's Tower Forge and the corresponding properties: `docs/forge-options.md`.

use super::table::{self, RETIRED};

/// An option of Tower Forge, the corresponding property, and the difference.
type Row = (&'static str, &'static str, &'static str);

/// Options of the compute environment.
const CONFIG: &[Row] = &[
    ("config.region", "Region", "the function's own region; may be omitted"),
    ("config.workDir", "WorkDir", ""),
    ("config.waveEnabled", "WaveEnabled", ""),
    ("config.fusion2Enabled", "Fusion2Enabled", ""),
    (
        "config.nvnmeStorageEnabled",
        "NvmeStorageEnabled",
        "spelled correctly; `NvnmeStorageEnabled` is refused with a hint",
    ),
    ("config.fusionSnapshots", "FusionSnapshots", ""),
    ("config.cliPath", "CliPath", ""),
    ("config.executionRole", "ExecutionRole", "the deployment must allow it"),
    ("config.headJobRole", "HeadJobRole", "the deployment must allow it"),
    ("config.computeJobRole", "ComputeJobRole", "the deployment must allow it"),
    ("config.headJobCpus", "HeadJobCpus", ""),
    ("config.headJobMemoryMb", "HeadJobMemoryMb", ""),
    ("config.headQueue", "HeadQueue", "an attribute: `!GetAtt Genomics.HeadQueue`"),
    ("config.computeQueue", "ComputeQueue", "an attribute: `!GetAtt Genomics.ComputeQueue`"),
    ("config.dragenQueue", "DragenQueue", "an attribute: `!GetAtt Genomics.DragenQueue`"),
    ("config.dragenInstanceType", "DragenInstanceType", ""),
    ("config.volumes", "Volumes", ""),
    ("config.logGroup", "LogGroup", ""),
    ("config.environment", "Environment", "may be a map if head jobs and tasks have the same variables"),
    ("config.preRunScript", "PreRunScript", ""),
    ("config.postRunScript", "PostRunScript", ""),
    ("config.nextflowConfig", "NextflowConfig", "appended to the forge's own configuration"),
    ("config.secretsKmsKeyId", "SecretsKmsKeyId", "refused"),
    ("config.storageType", "StorageType", "refused"),
    ("config.lustreId", "LustreId", "refused"),
    ("config.forgedResources", "ForgedResources", "refused"),
    ("config.deletedResources", "DeletedResources", "refused"),
    ("computeEnv.fusionMetricsCollectionEnabled", "FusionMetricsCollectionEnabled", "refused"),
    ("labelIds", "LabelIds", "refused; `Tags` can be changed later, labels cannot"),
];

/// Options of the forged resources.
const FORGE: &[Row] = &[
    ("forge.type", "Type", ""),
    ("forge.minCpus", "MinCpus", ""),
    ("forge.maxCpus", "MaxCpus", ""),
    ("forge.instanceTypes", "InstanceTypes", ""),
    ("forge.allocStrategy", "AllocStrategy", ""),
    ("forge.bidPercentage", "BidPercentage", "0 is refused: it must be at least 1"),
    ("forge.gpuEnabled", "GpuEnabled", ""),
    ("forge.imageId", "ImageId", ""),
    ("forge.arm64Enabled", "Arm64Enabled", ""),
    ("forge.vpcId", "VpcId", ""),
    ("forge.subnets", "Subnets", ""),
    ("forge.securityGroups", "SecurityGroups", ""),
    ("forge.ec2KeyPair", "Ec2KeyPair", ""),
    ("forge.allowBuckets", "AllowBuckets", "bucket names are accepted too"),
    ("forge.ebsBootSize", "EbsBootSize", ""),
    ("forge.ebsAutoScale", "EbsAutoScale", "refused; `false` is accepted"),
    ("forge.ebsBlockSize", "EbsBlockSize", "refused"),
    ("forge.fusionEnabled", "FusionEnabled", "refused; `false` is accepted"),
    ("forge.efsCreate", "EfsCreate", "encrypted, with a mount target in each zone"),
    ("forge.efsId", "EfsId", ""),
    ("forge.efsMount", "EfsMount", "default `/mnt/efs`"),
    ("forge.fsxSize", "FsxSize", ""),
    ("forge.fsxName", "FsxName", "the DNS name, as in Tower Forge"),
    ("forge.fsxMount", "FsxMount", "default `/mnt/fsx`"),
    ("forge.ecsConfig", "EcsConfig", "the variables `ECS_CLUSTER` and `ECS_ENGINE_AUTH_DATA` are refused"),
    ("forge.fargateHeadEnabled", "FargateHeadEnabled", ""),
    ("forge.dragenEnabled", "DragenEnabled", ""),
    ("forge.dragenAmiId", "DragenAmiId", ""),
    ("forge.dragenInstanceType", "DragenInstanceType", ""),
    ("forge.disposeOnDeletion", "DisposeOnDeletion", ""),
];

fn page() -> String {
    let rows = CONFIG.iter().chain(FORGE).map(|(option, ours, different)| {
        let retired = RETIRED.iter().find(|row| row.name == *ours);
        let link = match retired {
            Some(_) => format!("`{ours}`"),
            None => format!("[{ours}](properties.md#{})", ours.to_lowercase()),
        };
        let different = match (retired, *different) {
            (Some(row), different) => format!("{different}: {}", row.instead),
            (None, "") => "the same".to_owned(),
            (None, different) => different.to_owned(),
        };
        format!("| `{option}` | {link} | {different} |\n")
    });
    format!(
        "# Tower Forge's options and ours\n\n\
         <!-- Generated from handler/core/properties/forge_options.rs by \
         `UPDATE_EXPECT=1 cargo test -p tower-forge-core --lib`. -->\n\n\
         `config.` and `forge.` are the two parts of a compute environment in Seqera Platform's API.\n\n\
         | Tower Forge | here | what is different |\n|---|---|---|\n{}\
         | `TOWER_FORGE_PREFIX` | `NamePrefix` | a parameter of the deployment, for every installation |\n",
        rows.collect::<String>()
    )
}

#[test]
fn the_page_of_forge_options_is_what_the_code_says() {
    expect_test::expect_file!["../../../docs/forge-options.md"].assert_eq(&page());
}

#[test]
fn every_option_has_a_property_or_a_reason() {
    for (option, ours, _) in CONFIG.iter().chain(FORGE) {
        let known = table::find(ours).is_some() || RETIRED.iter().any(|row| row.name == *ours);
        assert!(known, "{option} stands for {ours}, which is neither a property nor retired");
    }
}
