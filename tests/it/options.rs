//! What each property does: its effect in AWS or in the attribute `NextflowConfig`, one row for each.
//!
//! A few forges say all properties between them, none its default; a last check is that no property lacks a row.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tower_forge::properties::table;

use crate::response_url::Answer;
use crate::state::{FileSystem, JobQueue, State};
use crate::world::{Setting, World};

/// A forge that has been made.
struct Made {
    /// What the stack says.
    given: Value,
    id: String,
    account: String,
    answer: Answer,
    state: State,
}

impl Made {
    fn queue(&self, line: &str) -> &JobQueue {
        self.state.queue(&format!("TowerForge-{}-{line}", self.id))
    }

    /// The compute resources of an environment, by its place behind a queue.
    fn environment(&self, line: &str, place: usize) -> &Value {
        &self.state.environment(&self.queue(line).order[place]).compute_resources
    }

    fn work(&self) -> &Value {
        self.environment("work", 0)
    }

    fn head(&self) -> &Value {
        self.environment("head", 0)
    }

    /// The root volume that the launch template asks for.
    fn root(&self) -> &Value {
        &self.template()["BlockDeviceMappings"][0]["Ebs"]
    }

    fn template(&self) -> &Value {
        &self.state.launch_templates[0].data
    }

    fn boots_with(&self, text: &str) -> bool {
        self.template()["UserData"].as_str().expect("a template has user data").contains(text)
    }

    /// Whether all policies of a role together say this.
    fn may(&self, role: &str, text: &str) -> bool {
        let role = self.state.role(&format!("TowerForge-{}-{role}", self.id));
        json!([role.inline, role.managed]).to_string().contains(text)
    }

    fn config(&self, text: &str) -> bool {
        self.answer.attribute("NextflowConfig").contains(text)
    }

    fn efs(&self) -> &FileSystem {
        of_forge(&self.state.efs)
    }

    fn fsx(&self) -> &FileSystem {
        of_forge(&self.state.fsx)
    }

    fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }
}

fn of_forge(systems: &[FileSystem]) -> &FileSystem {
    systems.iter().find(|it| it.tags.contains_key("towerforge:forge-id")).expect("the forge has made one")
}

/// A property and whether it had its effect.
type Row = (&'static str, fn(&Made) -> bool);

/// A forge, and the properties that it shows.
struct Case {
    name: &'static str,
    /// In capitals what is known only when the account has been furnished.
    properties: Value,
    rows: &'static [Row],
}

fn cases() -> Vec<Case> {
    vec![on_demand(), spot(), fusion(), graviton(), storage_made(), storage_brought()]
}

fn on_demand() -> Case {
    Case {
        name: "on demand",
        properties: json!({
            "ForgeId": "Lab1", "Region": "eu-west-1", "WorkDir": "s3://bucket-of-work/runs", "Type": "EC2",
            "MinCpus": 8, "MaxCpus": 64, "InstanceTypes": ["m6i", "c6i"], "AllocStrategy": "BEST_FIT",
            "VpcId": "VPC", "Subnets": ["SUBNET_A"], "SecurityGroups": ["GROUP"],
            "ImageId": "ami-0123456789abcdef0", "Ec2KeyPair": "lab", "EcsConfig": "ECS_LOGLEVEL=warn",
            "EbsBootSize": 200, "EbsThroughput": 250, "EbsIops": 4000, "EbsKmsKeyId": "alias/lab",
            "JobStateTimeLimit": 1200, "SchedulingPolicyArn": "POLICY", "CliPath": "/opt/conda/bin/aws",
            "AllowBuckets": ["s3://references/human"], "ExecutionRole": "ROLE/execution",
            "HeadJobRole": "ROLE/head", "ComputeJobRole": "ROLE/task", "PermissionsBoundary": "BOUNDARY",
            "InstanceRolePolicies": ["arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly"],
            "InstanceRoleStatements": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}],
            "LogGroup": "/lab/jobs", "Volumes": ["/data:/data:ro"], "LogRetentionDays": 90,
            "HeadJobCpus": 4, "HeadJobMemoryMb": 8192, "PreRunScript": "echo begins", "PostRunScript": "echo ends",
            "Environment": [
                {"Name": "TASKS", "Value": "yes", "Head": false, "Compute": true},
                {"Name": "HEADS", "Value": "yes", "Head": true, "Compute": false},
            ],
            "NextflowConfig": "process.maxRetries = 7", "Tags": {"lab": "blue"},
        }),
        rows: &[
            ("ForgeId", |it| it.id == "Lab1" && it.answer.attribute("HeadQueue") == "TowerForge-Lab1-head"),
            ("Region", |it| {
                it.answer.attribute("Region") == "eu-west-1" && it.config("region = 'eu-west-1'")
            }),
            ("WorkDir", |it| {
                it.may("InstanceRole", "arn:aws:s3:::bucket-of-work/*")
                    && it.config("workDir = 's3://bucket-of-work/runs'")
            }),
            ("Type", |it| it.work()["type"] == "EC2" && it.queue("head").order == it.queue("work").order),
            ("MinCpus", |it| it.work()["minvCpus"] == 8),
            ("MaxCpus", |it| it.work()["maxvCpus"] == 64),
            ("InstanceTypes", |it| it.work()["instanceTypes"] == json!(["c6i", "m6i"])),
            ("AllocStrategy", |it| it.work()["allocationStrategy"] == "BEST_FIT"),
            ("Subnets", |it| it.work()["subnets"] == it.given["Subnets"]),
            ("SecurityGroups", |it| it.work()["securityGroupIds"] == it.given["SecurityGroups"]),
            ("ImageId", |it| {
                it.work()["ec2Configuration"][0]["imageIdOverride"] == "ami-0123456789abcdef0"
                    && it.work().get("imageId").is_none()
                    && it.template().get("ImageId").is_none()
            }),
            ("Ec2KeyPair", |it| it.work()["ec2KeyPair"] == "lab"),
            ("EcsConfig", |it| it.boots_with("'ECS_LOGLEVEL=warn'")),
            ("EbsBootSize", |it| it.root()["VolumeSize"] == 200),
            ("EbsIops", |it| it.root()["Iops"] == 4000),
            ("EbsKmsKeyId", |it| it.root()["KmsKeyId"] == "alias/lab" && it.may("ServiceRole", "kms:")),
            ("JobStateTimeLimit", |it| {
                ["work", "head"].iter().all(|line| it.queue(line).time_limits.to_string().contains("1200"))
            }),
            ("SchedulingPolicyArn", |it| {
                it.queue("work").scheduling_policy.as_ref().is_some_and(|arn| arn.ends_with("/fair"))
                    && it.queue("head").scheduling_policy.is_none()
            }),
            ("CliPath", |it| it.config("cliPath = '/opt/conda/bin/aws'")),
            ("AllowBuckets", |it| it.may("InstanceRole", "arn:aws:s3:::references/*")),
            ("ExecutionRole", |it| {
                let arn = it.role_arn("pipelines/execution");
                let ours = format!("TowerForge-{}-ExecutionRole", it.id);
                it.may("InstanceRole", &arn)
                    && it.answer.attribute("ExecutionRoleArn") == arn
                    && it.config(&format!("executionRole = '{arn}'"))
                    && it.state.roles.iter().all(|role| role.name != ours)
            }),
            ("HeadJobRole", |it| {
                let arn = it.role_arn("pipelines/head");
                it.may("InstanceRole", &arn) && it.answer.attribute("HeadJobRoleArn") == arn
            }),
            ("ComputeJobRole", |it| {
                let arn = it.role_arn("pipelines/task");
                it.may("InstanceRole", &arn) && it.config(&format!("jobRole = '{arn}'"))
            }),
            ("PermissionsBoundary", |it| {
                let ours = it.state.roles.iter().filter(|role| role.name.starts_with("TowerForge-"));
                ours.clone().count() == 2
                    && ours.into_iter().all(|role| {
                        role.boundary.as_ref().is_some_and(|arn| arn.ends_with(":policy/boundary"))
                    })
            }),
            ("InstanceRolePolicies", |it| it.may("InstanceRole", "AmazonEC2ContainerRegistryReadOnly")),
            ("InstanceRoleStatements", |it| it.may("InstanceRole", "sqs:SendMessage")),
            ("LogGroup", |it| {
                it.may("InstanceRole", "log-group:/lab/jobs") && it.config("logsGroup = '/lab/jobs'")
            }),
            ("Volumes", |it| it.config("volumes = ['/data:/data:ro']")),
            ("LogRetentionDays", |it| it.state.log_groups[0].retention == Some(90)),
            ("HeadJobCpus", |it| it.config(r#"// headJob: {"cpus":4,"#)),
            ("HeadJobMemoryMb", |it| it.config(r#""memoryMb":8192"#)),
            ("PreRunScript", |it| it.config(r#""preRunScript":"echo begins""#)),
            ("PostRunScript", |it| it.config(r#""postRunScript":"echo ends""#)),
            ("Environment", |it| {
                it.config(r#""environment":{"HEADS":"yes"}"#) && it.config("env {\n    TASKS = 'yes'\n}")
            }),
            ("NextflowConfig", |it| {
                it.answer.attribute("NextflowConfig").ends_with("process.maxRetries = 7\n")
            }),
            ("Tags", |it| {
                let parts = it.state.parts();
                let ours: Vec<_> =
                    parts.iter().filter(|(_, _, tags)| tags.contains_key("towerforge:forge-id")).collect();
                let tagged = it.template()["TagSpecifications"].as_array().unwrap().iter();
                let with_instances = tagged.filter(|it| it["Tags"][0]["Value"] == "blue").count();
                ours.len() == 8
                    && ours.iter().all(|(_, _, tags)| tags.get("lab").is_some_and(|value| value == "blue"))
                    && with_instances == 2
                    && it.work()["tags"]["lab"] == "blue"
            }),
        ],
    }
}

fn spot() -> Case {
    Case {
        name: "spot",
        properties: json!({
            "WorkDir": "s3://bucket-of-work", "MaxCpus": 100, "HeadMaxCpus": 16, "AllocStrategy": "BEST_FIT",
            "BidPercentage": 60, "OnDemandFallback": true, "GpuEnabled": true, "InstanceTypes": "g5",
            "EbsEncrypted": false, "EbsThroughput": 200, "PipelineSecrets": true, "DragenEnabled": true,
            "DragenAmiId": "ami-0123456789abcdef0", "DragenInstanceType": "f2.12xlarge",
        }),
        rows: &[
            ("Type", |it| it.work()["type"] == "SPOT" && it.head()["type"] == "EC2"),
            ("HeadMaxCpus", |it| it.head()["maxvCpus"] == 16 && it.head()["minvCpus"] == 0),
            ("AllocStrategy", |it| {
                it.work()["spotIamFleetRole"] == it.role_arn(&format!("TowerForge-{}-FleetRole", it.id))
                    && it.answer.attribute("FleetRoleArn") == it.work()["spotIamFleetRole"]
            }),
            ("BidPercentage", |it| {
                it.work()["bidPercentage"] == 60 && it.head().get("bidPercentage").is_none()
            }),
            ("OnDemandFallback", |it| {
                let second = it.environment("work", 1);
                second["type"] == "EC2" && second["instanceTypes"] == json!(["g5"])
            }),
            ("GpuEnabled", |it| {
                it.work()["ec2Configuration"][0]["imageType"] == "ECS_AL2023_NVIDIA"
                    && it.head()["ec2Configuration"][0]["imageType"] == "ECS_AL2023"
            }),
            ("EbsEncrypted", |it| it.root()["Encrypted"] == false),
            ("EbsThroughput", |it| it.root()["Throughput"] == 200),
            ("PipelineSecrets", |it| {
                ["ExecutionRole", "InstanceRole"].iter().all(|role| it.may(role, "secretsmanager:"))
            }),
            ("DragenEnabled", |it| {
                let queue = &it.queue("dragen").name;
                it.answer.attribute("DragenQueue") == queue
                    && it.config("withLabel: 'dragen'")
                    && it.environment("dragen", 0)["type"] == "SPOT"
            }),
            ("DragenAmiId", |it| {
                let dragen = &it.environment("dragen", 0)["ec2Configuration"][0];
                dragen["imageIdOverride"] == "ami-0123456789abcdef0"
                    && it.work()["ec2Configuration"][0].get("imageIdOverride").is_none()
            }),
            ("DragenInstanceType", |it| {
                it.environment("dragen", 0)["instanceTypes"] == json!(["f2.12xlarge"])
            }),
        ],
    }
}

fn fusion() -> Case {
    Case {
        name: "fusion",
        properties: json!({
            "WorkDir": "s3://bucket-of-work/runs", "MaxCpus": 100, "WaveEnabled": true, "Fusion2Enabled": true,
            "NvmeStorageEnabled": true, "FusionSnapshots": true,
        }),
        rows: &[
            ("WaveEnabled", |it| it.config("wave {\n    enabled = true")),
            ("Fusion2Enabled", |it| {
                it.config("fusion {\n    enabled = true")
                    && !it.config("cliPath")
                    && !it.boots_with("aws_cli")
                    && it.boots_with("/scratch/fusion")
            }),
            ("NvmeStorageEnabled", |it| {
                it.work()["instanceTypes"].as_array().unwrap().contains(&json!("c6id"))
                    && it.boots_with("nvme_scratch")
                    && it.config("'/scratch/fusion:/tmp'")
                    && it.root()["VolumeSize"] == 50
            }),
            ("FusionSnapshots", |it| it.config("snapshots = true")),
        ],
    }
}

fn graviton() -> Case {
    Case {
        name: "graviton",
        properties: json!({
            "WorkDir": "s3://bucket-of-work/runs", "MaxCpus": 100, "WaveEnabled": true, "Fusion2Enabled": true,
            "FargateHeadEnabled": true, "Arm64Enabled": true, "HeadMaxCpus": 8,
        }),
        rows: &[
            ("FargateHeadEnabled", |it| {
                let role = it.role_arn(&format!("TowerForge-{}-FargateRole", it.id));
                it.head()["type"] == "FARGATE"
                    && it.head()["maxvCpus"] == 8
                    && it.head().get("launchTemplate").is_none()
                    && it.answer.attribute("HeadJobRoleArn") == role
                    && it.may("FargateRole", "batch:SubmitJob")
                    && it.may("FargateRole", "arn:aws:s3:::bucket-of-work/*")
                    && it.may("FargateRole", &it.role_arn(&format!("TowerForge-{}-ExecutionRole", it.id)))
            }),
            ("Arm64Enabled", |it| {
                it.work()["instanceTypes"] == json!(["c6g", "m6g", "r6g"])
                    && it.config("arch = 'linux/arm64'")
            }),
            // Fusion without NVMe disks keeps its cache on the root volume.
            ("EbsBootSize", |it| it.root()["VolumeSize"] == 100),
        ],
    }
}

fn storage_made() -> Case {
    Case {
        name: "storage that the forge makes",
        properties: json!({
            "WorkDir": "/shared/home/work", "MaxCpus": 100, "EfsCreate": true, "EfsMount": "/shared/home/",
            "FsxSize": 2400, "FsxMount": "/shared/scratch", "FsxDeploymentType": "PERSISTENT_2",
            "FsxThroughput": 250,
        }),
        rows: &[
            ("WorkDir", |it| it.config("workDir = '/shared/home/work'")),
            ("EfsCreate", |it| {
                let (id, more) = (&it.efs().id, &it.efs().more);
                more["encrypted"] == true
                    && more["one_zone"].is_null()
                    && it.answer.attribute("EfsId") == id
                    && it.boots_with(id)
            }),
            ("EfsMount", |it| {
                it.boots_with("'/shared/home'") && it.config("volumes = ['/shared/home', '/shared/scratch']")
            }),
            ("FsxSize", |it| {
                let (id, more) = (&it.fsx().id, &it.fsx().more);
                more["capacity"] == 2400
                    && more["version"] == "2.15"
                    && it.answer.attribute("FsxId") == id
                    && it.boots_with(it.answer.attribute("FsxDnsName"))
                    && it.boots_with(more["mount_name"].as_str().unwrap())
            }),
            ("FsxMount", |it| it.boots_with("'/shared/scratch'")),
            ("FsxDeploymentType", |it| it.fsx().more["deployment_type"] == "PERSISTENT_2"),
            ("FsxThroughput", |it| it.fsx().more["throughput"] == 250),
        ],
    }
}

fn storage_brought() -> Case {
    Case {
        name: "storage that the stack brings",
        properties: json!({
            "WorkDir": "/mnt/fsx/work", "MaxCpus": 100, "VpcId": "VPC", "EfsId": "EFS",
            "FsxName": "FSX",
        }),
        rows: &[
            ("VpcId", |it| it.work()["subnets"].as_array().unwrap().len() == 2),
            ("EfsId", |it| {
                let id = it.answer.attribute("EfsId");
                it.state.efs.len() == 1 && it.state.efs[0].id == id && it.boots_with(id)
            }),
            ("FsxName", |it| {
                let system = &it.state.fsx[0];
                it.state.fsx.len() == 1
                    && it.answer.attribute("FsxDnsName").starts_with(&system.id)
                    && it.answer.attribute("FsxId").is_empty()
                    && it.boots_with(system.more["mount_name"].as_str().unwrap())
                    && it.config("volumes = ['/mnt/efs', '/mnt/fsx']")
            }),
        ],
    }
}

/// Properties that show their effect elsewhere, and where.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ServiceToken", "every stack has one, or nobody would be asked"),
    ("ServiceTimeout", "an_older_event_than_its_timeout_is_stale"),
    ("ImageRefresh", "a_new_image_is_a_new_generation_and_a_nonce_is_nothing"),
    ("Nonce", "a_new_image_is_a_new_generation_and_a_nonce_is_nothing"),
    ("DisposeOnDeletion", "the tests in kept.rs"),
];

/// What the deployer of these functions allows.
pub(crate) fn generous() -> Setting {
    let allow = |variable, pattern: &str| (variable, pattern.to_owned());
    Setting {
        environment: vec![
            allow("TOWER_FORGE_ALLOWED_ROLES", "arn:aws:iam::*:role/pipelines/*"),
            allow("TOWER_FORGE_ALLOWED_POLICIES", "arn:aws:iam::aws:policy/AmazonEC2Container*"),
            allow("TOWER_FORGE_ALLOWED_BOUNDARIES", "arn:aws:iam::*:policy/boundary"),
        ],
        ..Setting::default()
    }
}

/// Furnishes an account, and puts what it has in the place of the words in capitals.
async fn furnish(world: &World, case: &Case) -> Value {
    let all =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let things = json!({
        "vpc": {"zones": ["eu-west-1a", "eu-west-1b"]},
        "policy": {"name": "boundary", "document": all},
        "scheduling_policy": {"name": "fair"},
        "key_pair": {"name": "lab"},
    });
    let mut made = world.seed(things).await;
    let text = case.properties.to_string();
    if text.contains("\"EFS\"") {
        let vpc = &made["vpc"];
        let efs = json!({"subnets": vpc["subnets"], "security_groups": vpc["security_groups"]});
        let systems = world.seed(json!({"efs": efs, "fsx": {}})).await;
        made["efs"] = systems["efs"].clone();
        made["fsx"] = systems["fsx"].clone();
    }
    let named = |path: &str| made.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let dns_name = format!("{}.fsx.eu-west-1.amazonaws.com", named("/fsx/id"));
    let text = [
        ("VPC", named("/vpc/id")),
        ("SUBNET_A", named("/vpc/subnets/0")),
        ("GROUP", named("/vpc/security_groups/0")),
        ("POLICY", named("/scheduling_policy/arn")),
        ("BOUNDARY", named("/policy/arn")),
        ("EFS", named("/efs/id")),
        ("FSX", dns_name),
    ]
    .iter()
    .fold(text, |text, (word, value)| text.replace(&format!("\"{word}\""), &format!("\"{value}\"")))
    .replace("\"ROLE/", &format!("\"arn:aws:iam::{}:role/pipelines/", world.cloud.id));
    serde_json::from_str(&text).unwrap()
}

/// Makes the forge of a case and checks its rows: the names of those without an effect.
async fn show(case: Case) -> Vec<String> {
    let world = World::with(generous()).await;
    let properties = furnish(&world, &case).await;
    let stack = world.stack(properties.clone());
    let answer = stack.create().await.expect_success();
    let made = Made {
        given: properties,
        id: answer.physical_id.clone(),
        account: world.cloud.id.clone(),
        answer,
        state: world.state().await,
    };
    let failed = case.rows.iter().filter(|(_, effect)| !effect(&made));
    let failed: Vec<String> = failed.map(|(name, _)| format!("{name} ({})", case.name)).collect();
    if !failed.is_empty() {
        println!("{}: {:#?}\n{}", case.name, made.state, made.answer.attribute("NextflowConfig"));
    }
    stack.delete().await.expect_success();
    world.assert_nothing_left().await;
    failed
}

#[tokio::test]
async fn each_property_has_its_effect() {
    let rows: usize = cases().iter().map(|case| case.rows.len()).sum();
    let failed: Vec<String> = join_all(cases().into_iter().map(show)).await.concat();
    println!("{} forges, {rows} rows", cases().len());
    assert!(failed.is_empty(), "without their effect: {failed:?}");
}

#[test]
fn no_property_lacks_a_row() {
    let mut shown: BTreeSet<&str> =
        cases().iter().flat_map(|case| case.rows.iter().map(|(name, _)| *name)).collect();
    shown.extend(ELSEWHERE.iter().map(|(name, _)| *name));
    let all: BTreeSet<&str> = table::all().map(|row| row.name).collect();
    assert_eq!(shown, all);
    let said: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| case.properties.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    for case in cases() {
        // "EbsBootSize" of a forge that leaves it out is about the default.
        let absent = case.rows.iter().map(|(name, _)| *name).filter(|name| !said.contains(*name));
        assert_eq!(absent.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", case.name);
    }
}

#[tokio::test]
async fn a_new_image_is_a_new_generation_and_a_nonce_is_nothing() {
    let world = World::new().await;
    let with = |refresh: &str, nonce: &str| json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 9, "ImageRefresh": refresh, "Nonce": nonce});
    let stack = world.stack(with("2026-01", "1"));
    let id = stack.create().await.expect_success().physical_id;
    let before = world.state().await;
    let seq = world.now().await;
    stack.update(with("2026-01", "2")).await.expect_success();
    // The operation's tag apart, which is how a newer operation is told from an older one.
    let changes = world.calls().await.since(seq).mutating();
    assert_eq!(changes.of("TagResource").len(), changes.len(), "{:?}", changes.by_operation());
    let work = format!("TowerForge-{id}-work");
    assert_eq!(world.state().await.queue(&work).order, before.queue(&work).order);

    stack.update(with("2026-02", "2")).await.expect_success();
    let after = world.state().await;
    assert_ne!(after.first_environment(&work).name, before.first_environment(&work).name);
    assert_eq!(after.launch_templates.len(), 2);
    stack.delete().await.expect_success();
    world.assert_nothing_left().await;
}

#[tokio::test]
async fn an_older_event_than_its_timeout_is_stale() {
    let world = World::new().await;
    let stack = world.stack(json!({"WorkDir": "s3://my-bucket/work", "MaxCpus": 9, "ServiceTimeout": 60}));
    stack.put_statuses("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS").await;
    let request = stack.request(stack.create_event(), std::time::Duration::from_secs(90));
    world.deliver(&request).await.expect_silence();
    world.assert_no_change_since(0).await;
}
