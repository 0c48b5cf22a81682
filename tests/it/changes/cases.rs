//! Every property changed alone: the forge before, the change, and its effect.

use serde_json::{Value, json};
use tower_forge_core::properties::table::Effect;

/// A change of one property.
pub(super) struct Case {
    /// The property.
    pub(super) name: &'static str,
    /// The properties of the forge besides the minimum, before and after.
    pub(super) with: Value,
    /// The property before; null is absent.
    pub(super) from: Value,
    /// The property afterwards; null is absent.
    pub(super) to: Value,
    /// The effect of the change.
    pub(super) effect: Effect,
    /// The ends of names of resources that stay although a fresh forge would not have them.
    pub(super) stays: &'static [&'static str],
}

impl Case {
    fn with(self, with: Value) -> Self {
        Self { with, ..self }
    }

    fn stays(self, stays: &'static [&'static str]) -> Self {
        Self { stays, ..self }
    }

    /// For messages.
    pub(super) fn title(&self) -> String {
        format!("{} from {} to {} with {}", self.name, self.from, self.to, self.with)
    }
}

fn case(name: &'static str, from: Value, to: Value, effect: Effect) -> Case {
    Case { name, with: json!({}), from, to, effect, stays: &[] }
}

/// All cases. `{vpc}`, `{subnet}`, `{group}`, `{efs}` and the like stand for resources of the account.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = work_and_fusion();
    cases.extend(environments());
    cases.extend(instances_queues_network());
    cases.extend(storage());
    cases.extend(permissions());
    cases.extend(jobs_and_forge());
    cases
}

const NONE: Value = Value::Null;

fn work_and_fusion() -> Vec<Case> {
    use Effect::{Config, InPlace, NewGeneration};
    let fusion = json!({"WaveEnabled": true, "Fusion2Enabled": true});
    vec![
        case("WorkDir", json!("s3://my-bucket/work"), json!("s3://other-bucket/work"), InPlace),
        case("WorkDir", json!("s3://my-bucket/work"), json!("s3://my-bucket/else"), Config),
        case("WaveEnabled", NONE, json!(true), Config),
        case("Fusion2Enabled", NONE, json!(true), NewGeneration).with(json!({"WaveEnabled": true})),
        case("Fusion2Enabled", json!(true), NONE, NewGeneration).with(json!({"WaveEnabled": true})),
        case("NvmeStorageEnabled", NONE, json!(true), NewGeneration).with(fusion.clone()),
        case("FusionSnapshots", NONE, json!(true), Config).with(fusion),
        case("CliPath", NONE, json!("/opt/aws/bin/aws"), Config),
    ]
}

fn environments() -> Vec<Case> {
    use Effect::{InPlace, NewGeneration, Queue, Replacement};
    let dragen = json!({"DragenEnabled": true});
    let fusion = json!({"WaveEnabled": true, "Fusion2Enabled": true});
    vec![
        case("Type", json!("SPOT"), json!("EC2"), NewGeneration),
        case("Type", json!("EC2"), json!("SPOT"), NewGeneration),
        case("MinCpus", NONE, json!(4), InPlace),
        case("MinCpus", json!(4), NONE, InPlace),
        case("MaxCpus", json!(500), json!(20), InPlace),
        case("HeadMaxCpus", NONE, json!(16), InPlace),
        case("InstanceTypes", NONE, json!("m6i,c6i"), NewGeneration),
        case("AllocStrategy", NONE, json!("SPOT_CAPACITY_OPTIMIZED"), NewGeneration),
        case("AllocStrategy", NONE, json!("BEST_FIT"), NewGeneration),
        case("AllocStrategy", json!("BEST_FIT"), NONE, NewGeneration),
        case("BidPercentage", NONE, json!(70), NewGeneration),
        case("OnDemandFallback", NONE, json!(true), InPlace),
        case("OnDemandFallback", json!(true), NONE, InPlace),
        case("FargateHeadEnabled", NONE, json!(true), Replacement).with(fusion),
        case("DragenEnabled", NONE, json!(true), Queue),
        case("DragenEnabled", json!(true), NONE, Queue),
        case("DragenAmiId", NONE, json!("ami-0123456789abcdef0"), NewGeneration).with(dragen.clone()),
        case("DragenInstanceType", NONE, json!("f2.12xlarge"), NewGeneration).with(dragen),
    ]
}

fn instances_queues_network() -> Vec<Case> {
    use Effect::{Config, InPlace, NewGeneration, Replacement};
    let arm = json!({"FargateHeadEnabled": true, "WaveEnabled": true, "Fusion2Enabled": true});
    vec![
        case("ImageId", NONE, json!("ami-0123456789abcdef0"), NewGeneration),
        case("GpuEnabled", NONE, json!(true), NewGeneration).with(json!({"InstanceTypes": "g4dn"})),
        case("Arm64Enabled", NONE, json!(true), Replacement).with(arm),
        case("Ec2KeyPair", NONE, json!("somebody"), NewGeneration),
        case("EcsConfig", NONE, json!("ECS_LOGLEVEL=debug"), NewGeneration),
        case("JobStateTimeLimit", NONE, json!(3600), InPlace),
        case("JobStateTimeLimit", json!(3600), NONE, InPlace),
        case("SchedulingPolicyArn", json!("{policy-1}"), json!("{policy-2}"), InPlace),
        case("SchedulingPolicyArn", NONE, json!("{policy-1}"), Replacement),
        case("SchedulingPolicyArn", json!("{policy-1}"), NONE, Replacement),
        case("ShareIdentifier", NONE, json!("blue"), Config)
            .with(json!({"SchedulingPolicyArn": "{policy-1}"})),
        case("VpcId", NONE, json!("{vpc}"), NewGeneration),
        case("Subnets", NONE, json!(["{subnet}"]), NewGeneration),
        case("SecurityGroups", NONE, json!(["{group}"]), NewGeneration),
        case("EbsBootSize", NONE, json!(200), NewGeneration),
        case("EbsEncrypted", NONE, json!(false), NewGeneration),
        case("EbsKmsKeyId", NONE, json!("alias/genomics"), NewGeneration),
        case("EbsThroughput", NONE, json!(500), NewGeneration),
        case("EbsIops", NONE, json!(6000), NewGeneration),
    ]
}

fn storage() -> Vec<Case> {
    use Effect::{InPlace, NewGeneration, Nothing, Refused};
    let brought = json!({"EfsId": "{efs}", "VpcId": "{vpc}", "SecurityGroups": ["{group-there}"]});
    let there = json!({"VpcId": "{vpc}", "SecurityGroups": ["{group-there}"]});
    let group = json!({"SecurityGroups": ["{group}"]});
    let lustre = json!({"FsxSize": 1200, "SecurityGroups": ["{group}"]});
    let lustre_there = json!({"FsxSize": 1200, "VpcId": "{vpc}", "SecurityGroups": ["{group-there}"]});
    let persistent = json!({
        "FsxSize": 1200, "FsxDeploymentType": "PERSISTENT_2", "SecurityGroups": ["{group}"],
    });
    let brought_lustre = json!({"FsxName": "{fsx}", "SecurityGroups": ["{group}"]});
    vec![
        case("EfsCreate", NONE, json!(true), NewGeneration).with(group.clone()),
        case("EfsCreate", json!(true), NONE, NewGeneration).with(group.clone()).stays(&["efs"]),
        case("EfsId", NONE, json!("{efs}"), NewGeneration).with(there),
        case("EfsMount", NONE, json!("/data"), NewGeneration).with(brought),
        case("FsxSize", NONE, json!(1200), NewGeneration).with(group.clone()),
        case("FsxSize", json!(1200), json!(2400), InPlace).with(group.clone()),
        case("FsxSize", json!(2400), json!(1200), Refused).with(group.clone()),
        case("FsxSize", json!(1200), NONE, NewGeneration).with(group.clone()).stays(&["fsx"]),
        case("FsxDeploymentType", NONE, json!("PERSISTENT_2"), Refused).with(lustre),
        case("FsxSubnet", NONE, json!("{subnet}"), Nothing).with(lustre_there),
        case("FsxThroughput", NONE, json!(250), Refused).with(persistent),
        case("FsxName", NONE, json!("{fsx}"), NewGeneration).with(group),
        case("FsxMount", NONE, json!("/data"), NewGeneration).with(brought_lustre),
    ]
}

fn permissions() -> Vec<Case> {
    use Effect::InPlace;
    let statement = json!([{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]);
    let policy = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
    vec![
        case("AllowBuckets", NONE, json!("reference-data"), InPlace),
        case("AllowBuckets", json!("reference-data"), NONE, InPlace),
        case("ReadBuckets", NONE, json!("panels"), InPlace),
        case("ReadBuckets", json!("panels"), NONE, InPlace),
        case("ExecutionRole", NONE, json!("{role}"), InPlace).stays(&["-ExecutionRole"]),
        case("ExecutionRole", json!("{role}"), NONE, InPlace),
        case("HeadJobRole", NONE, json!("{role}"), InPlace),
        case("ComputeJobRole", NONE, json!("{role}"), InPlace),
        case("PermissionsBoundary", NONE, json!("{boundary}"), InPlace),
        case("PermissionsBoundary", json!("{boundary}"), NONE, InPlace),
        case("InstanceRolePolicies", NONE, json!([policy]), InPlace),
        case("InstanceRolePolicies", json!([policy]), NONE, InPlace),
        case("InstanceRoleStatements", NONE, statement.clone(), InPlace),
        case("InstanceRoleStatements", statement, NONE, InPlace),
        case("PipelineSecrets", NONE, json!(true), InPlace),
        case("PipelineSecrets", json!(true), NONE, InPlace),
    ]
}

fn jobs_and_forge() -> Vec<Case> {
    use Effect::{Config, InPlace, NewGeneration, Nothing, Refused, Replacement};
    vec![
        case("HeadJobCpus", NONE, json!(4), Config),
        case("HeadJobMemoryMb", NONE, json!(8192), Config),
        case("LogGroup", NONE, json!("/jobs"), InPlace),
        case("Volumes", NONE, json!("/scratch"), Config),
        case("Environment", NONE, json!({"A": "b"}), Config),
        case("PreRunScript", NONE, json!("echo before"), Config),
        case("PostRunScript", NONE, json!("echo after"), Config),
        case("NextflowConfig", NONE, json!("process.maxRetries = 3"), Config),
        case("ServiceTimeout", NONE, json!(1800), Nothing),
        case("ForgeId", json!("{id-1}"), json!("{id-2}"), Replacement),
        case("Region", NONE, json!("eu-west-1"), Nothing),
        case("Region", NONE, json!("us-east-1"), Refused),
        case("DisposeOnDeletion", NONE, json!(true), Nothing),
        case("DisposeOnDeletion", NONE, json!(false), Nothing),
        case("ImageRefresh", NONE, json!("2026-11"), NewGeneration),
        case("ImageRefresh", json!("2026-11"), json!("2026-12"), NewGeneration),
        case("Nonce", json!("1"), json!("2"), Nothing),
        case("LogRetentionDays", NONE, json!(90), InPlace),
        case("Tags", NONE, json!({"Team": "genomics"}), NewGeneration),
        case("Tags", json!({"Team": "genomics"}), json!({"Team": "proteomics"}), NewGeneration),
        case("Tags", json!({"Team": "genomics", "Cost": "1"}), json!({"Team": "genomics"}), NewGeneration),
    ]
}
