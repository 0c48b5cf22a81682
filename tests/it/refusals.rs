//! Refusals before anything is created: every rule between properties, and events that cannot be answered.

use serde_json::{Map, Value, json};

use crate::options::generous;
use crate::rights::Rights;
use crate::runtime_api::Outcome;
use crate::test_account::{Setting, TestAccount};

/// The least that a stack must say, with these properties besides or instead; null takes one away.
fn with(more: &Value) -> Value {
    let mut all = Map::from_iter([
        ("WorkDir".to_owned(), json!("s3://my-bucket/work")),
        ("MaxCpus".to_owned(), json!(100)),
    ]);
    for (name, value) in more.as_object().expect("properties are an object") {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    Value::Object(all)
}

/// Properties that do not go together, and the words of the answer about them.
fn rules() -> Vec<(Value, &'static [&'static str])> {
    let fusion = |more: Value| {
        let mut all = json!({"WaveEnabled": true, "Fusion2Enabled": true});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let graviton = |more: Value| {
        let mut all = fusion(json!({"FargateHeadEnabled": true, "Arm64Enabled": true}));
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        (
            json!({"Fusion2Enabled": true}),
            &["Fusion2Enabled: given true, allowed: only with WaveEnabled: true"],
        ),
        (json!({"NvmeStorageEnabled": true}), &["NvmeStorageEnabled", "only with Fusion2Enabled: true"]),
        (
            fusion(json!({"NvmeStorageEnabled": true, "InstanceTypes": ["optimal"]})),
            &["InstanceTypes", "optimal may have no NVMe disks"],
        ),
        (json!({"FusionSnapshots": true}), &["FusionSnapshots", "only with Fusion2Enabled: true"]),
        (fusion(json!({"CliPath": "/opt/conda/bin/aws"})), &["CliPath", "only without Fusion2Enabled"]),
        (fusion(json!({"FargateHeadEnabled": true, "Type": "EC2"})), &["FargateHeadEnabled", "Type: SPOT"]),
        (json!({"FargateHeadEnabled": true}), &["FargateHeadEnabled", "only with Fusion2Enabled: true"]),
        (
            fusion(json!({"FargateHeadEnabled": true, "EfsCreate": true})),
            &["FargateHeadEnabled", "only without EfsCreate and EfsId"],
        ),
        (
            fusion(json!({"FargateHeadEnabled": true, "FsxSize": 1200})),
            &["FargateHeadEnabled", "only without FsxSize and FsxName"],
        ),
        (fusion(json!({"FargateHeadEnabled": true, "HeadJobCpus": 3})), &["HeadJobCpus", "1, 2, 4, 8 or 16"]),
        (
            json!({"Arm64Enabled": true}),
            &[
                "only with FargateHeadEnabled: true",
                "only with WaveEnabled: true",
                "only with Fusion2Enabled: true",
            ],
        ),
        (graviton(json!({"GpuEnabled": true})), &["Arm64Enabled", "only without GpuEnabled"]),
        (graviton(json!({"InstanceTypes": ["m6i"]})), &["InstanceTypes", "m6i: x86"]),
        (json!({"InstanceTypes": ["m6g"]}), &["InstanceTypes", "m6g: Graviton"]),
        (json!({"DragenAmiId": "ami-0123456789abcdef0"}), &["DragenAmiId", "only with DragenEnabled: true"]),
        (
            json!({"DragenInstanceType": "f2.6xlarge"}),
            &["DragenInstanceType", "only with DragenEnabled: true"],
        ),
        (json!({"Type": "EC2", "AllocStrategy": "SPOT_CAPACITY_OPTIMIZED"}), &["AllocStrategy", "Type: EC2"]),
        (json!({"Type": "EC2", "BidPercentage": 50}), &["BidPercentage", "only with Type: SPOT"]),
        (json!({"BidPercentage": 101}), &["BidPercentage: given \"101\", allowed: an integer from 1 to 100"]),
        (json!({"Type": "EC2", "OnDemandFallback": true}), &["OnDemandFallback", "only with Type: SPOT"]),
        (json!({"ShareIdentifier": "blue"}), &["ShareIdentifier", "only with SchedulingPolicyArn"]),
        (json!({"MinCpus": 101}), &["MinCpus: given \"101\", allowed: up to MaxCpus"]),
        (json!({"EfsCreate": true, "EfsId": "fs-0123456789abcdef0"}), &["EfsId", "only without EfsCreate"]),
        (
            json!({"FsxSize": 1200, "FsxName": "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com"}),
            &["FsxName", "only without FsxSize"],
        ),
        (json!({"FsxSize": 1800}), &["FsxSize: given \"1800\", allowed: 1200, or a multiple of 2400"]),
        (json!({"EfsMount": "/mnt/efs"}), &["EfsMount", "only with EfsCreate or EfsId"]),
        (json!({"FsxMount": "/mnt/fsx"}), &["FsxMount", "only with FsxSize or FsxName"]),
        (
            json!({"EfsCreate": true, "FsxSize": 1200, "EfsMount": "/data", "FsxMount": "/data"}),
            &["FsxMount", "a path apart from EfsMount"],
        ),
        (
            json!({"EfsCreate": true, "FsxSize": 1200, "EfsMount": "/data/fsx/home", "FsxMount": "/data/fsx"}),
            &["FsxMount", "a path apart from EfsMount"],
        ),
        (json!({"EfsCreate": true, "EfsMount": "/var/lib"}), &["EfsMount", "that the system does not use"]),
        (json!({"FsxDeploymentType": "PERSISTENT_1"}), &["FsxDeploymentType", "only with FsxSize"]),
        (json!({"FsxThroughput": 125}), &["FsxThroughput", "only with FsxSize"]),
        (json!({"FsxSubnet": "subnet-01234567"}), &["FsxSubnet", "only with FsxSize"]),
        (json!({"FsxSize": 1200, "FsxThroughput": 125}), &["FsxThroughput", "a PERSISTENT deployment type"]),
        (
            json!({"FsxSize": 1200, "FsxDeploymentType": "PERSISTENT_2", "FsxThroughput": 100}),
            &["FsxThroughput", "125, 250, 500, 1000"],
        ),
        (json!({"WorkDir": "/mnt/efs/work"}), &["WorkDir", "EfsCreate, EfsId, FsxSize or FsxName"]),
        (json!({"WorkDir": "/elsewhere", "EfsCreate": true}), &["WorkDir", "a path at or below /mnt/efs"]),
        (
            fusion(json!({"WorkDir": "/mnt/efs/work", "EfsCreate": true})),
            &["WorkDir", "s3://bucket/path with Fusion2Enabled"],
        ),
        (json!({"EbsKmsKeyId": "alias/lab", "EbsEncrypted": false}), &["EbsKmsKeyId", "EbsEncrypted: true"]),
        (json!({"EbsThroughput": 1000}), &["EbsThroughput", "up to 750 with 3000 IOPS"]),
        (json!({"EbsIops": 30000}), &["EbsIops", "up to 25000 with 50 GiB"]),
        (
            json!({"Environment": [{"Name": "A", "Value": "1", "Head": false, "Compute": false}]}),
            &["Environment", "Head", "Compute"],
        ),
        (json!({"Region": "us-east-1"}), &["Region", "eu-west-1 only"]),
        // Properties that Tower Forge has retired.
        (
            json!({"EbsAutoScale": true}),
            &["EbsAutoScale: given \"true\", allowed: false, or nothing", "Fusion2Enabled"],
        ),
        (json!({"EbsBlockSize": 50}), &["EbsBlockSize", "use EbsBootSize"]),
        (json!({"FusionEnabled": true}), &["FusionEnabled", "use Fusion2Enabled"]),
        (json!({"NvnmeStorageEnabled": true}), &["NvnmeStorageEnabled", "use NvmeStorageEnabled"]),
        (json!({"LustreId": "fs-1"}), &["LustreId", "use FsxName"]),
        (json!({"StorageType": "efs"}), &["StorageType", "EfsCreate"]),
        // Properties that the deployer decides.
        (json!({"HeadJobRole": "arn:aws:iam::ACCOUNT:role/Admin"}), &["HeadJobRole", "AllowedRoles"]),
        (json!({"ComputeJobRole": "arn:aws:iam::ACCOUNT:role/Admin"}), &["ComputeJobRole", "AllowedRoles"]),
        (json!({"ExecutionRole": "arn:aws:iam::ACCOUNT:role/Admin"}), &["ExecutionRole", "AllowedRoles"]),
        (json!({"ExecutionRole": "arn:aws:iam::999999999999:role/pipelines/a"}), &["ExecutionRole"]),
        (
            json!({"InstanceRolePolicies": "arn:aws:iam::aws:policy/AdministratorAccess"}),
            &["InstanceRolePolicies", "AllowedPolicies"],
        ),
        (
            json!({"PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}),
            &["PermissionsBoundary", "AllowedBoundaries"],
        ),
        (json!({"Tags": {"towerforge:forge-id": "mine"}}), &["Tags", "towerforge:"]),
        // Several at once.
        (
            json!({"MaxCpus": null, "WorkDir": "bucket", "Type": "FARGATE", "Volumes": "data", "MaxCpu": 5}),
            &["MaxCpus: missing", "WorkDir: given", "Type: given", "Volumes: given", "did you mean MaxCpus?"],
        ),
    ]
}

#[tokio::test]
async fn each_rule_is_checked_before_the_first_call() {
    let aws = TestAccount::with(generous()).await;
    let rules = rules();
    for (properties, says) in &rules {
        let text = properties.to_string().replace("ACCOUNT", &aws.cloud.id);
        let properties = serde_json::from_str(&text).unwrap();
        let stack = aws.stack(with(&properties));
        let reason = stack.create().await.expect_failure().reason;
        for word in *says {
            assert!(reason.contains(word), "{properties}: no {word:?} in {reason:?}");
        }
        stack.roll_back().await.expect_success();
    }
    aws.assert_no_change_since(0).await;
    aws.assert_nothing_left().await;
    println!("{} rules", rules.len());
}

#[tokio::test]
async fn file_systems_need_a_deployment_that_has_them() {
    let rights = Rights { features: "", ..Rights::default() };
    let aws = TestAccount::with(Setting { rights, ..Setting::default() }).await;
    for (properties, name, parameter) in [
        (json!({"EfsCreate": true}), "EfsCreate", "EnableEfs"),
        (json!({"EfsId": "fs-0123456789abcdef0"}), "EfsId", "EnableEfs"),
        (json!({"FsxSize": 1200}), "FsxSize", "EnableFsx"),
        (json!({"FsxName": "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com"}), "FsxName", "EnableFsx"),
    ] {
        let reason = aws.stack(with(&properties)).create().await.expect_failure().reason;
        assert!(reason.contains(&format!("{name}: ")), "{reason}");
        assert!(
            reason.contains(&format!("only if the function is deployed with {parameter}: true")),
            "{reason}"
        );
    }
    // A forge without file systems asks nothing of either service; only a Delete looks for older ones.
    let stack = aws.stack(with(&json!({})));
    stack.create().await.expect_success();
    let calls = aws.calls().await;
    assert!(calls.0.iter().all(|call| call.service != "efs" && call.service != "fsx"));
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused_before_the_first_call() {
    let aws = TestAccount::new().await;
    let long =
        json!({"NextflowConfig": format!("// {}", "x".repeat(2040)), "PreRunScript": "y".repeat(1000)});
    let stack = aws.stack(with(&long));
    let reason = stack.create().await.expect_failure().reason;
    assert!(reason.contains("NextflowConfig: CloudFormation takes answers of 4096 bytes"), "{reason}");
    stack.roll_back().await.expect_success();
    aws.assert_no_change_since(0).await;

    // The longest that is accepted can be answered: the size is that of the answer with all attributes.
    let (mut low, mut high) = (0, 2000);
    let mut longest = None;
    while low < high {
        let length = high - (high - low) / 2;
        let properties = with(&json!({
            "Type": "SPOT", "AllocStrategy": "BEST_FIT", "FsxSize": 1200, "EfsCreate": true,
            "PostRunScript": "x".repeat(1000), "NextflowConfig": format!("// {}", "x".repeat(length)),
        }));
        let plan = json!({"plan": aws.stack(properties.clone()).create_event()});
        let Outcome::Returned(preview) = aws.invoke(plan).await else { panic!("a preview returns") };
        match preview["error"].as_str() {
            None => (low, longest) = (length, Some(properties)),
            Some(error) if error.contains("bytes longer") => high = length - 1,
            Some(error) => panic!("{error}"),
        }
    }
    let mut longest = longest.expect("a short configuration is accepted");
    let stack = aws.stack(longest.clone());
    let made = stack.create().await.expect_success();
    assert!((3900..=4096).contains(&made.size), "{}", made.size);
    println!("the longest answer has {} bytes", made.size);

    // A limit that is not reached yet was not known before, and there is no room for it.
    aws.cloud.start_job_of(60, made.attribute("ComputeQueue")).await;
    longest["MaxCpus"] = json!(50);
    assert_eq!(stack.update(longest).await.expect_success().attribute("Warnings"), "");
    assert!(aws.lambda.log().contains("has at most 60 vCPUs instead of 50"), "{}", aws.lambda.log());
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

#[tokio::test]
async fn a_retired_option_that_is_off_is_accepted() {
    let aws = TestAccount::new().await;
    let stack =
        aws.stack(with(&json!({"EbsAutoScale": false, "FusionEnabled": "false", "EbsBlockSize": ""})));
    stack.create().await.expect_success();
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
