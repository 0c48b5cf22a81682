//! The options, each with the evidence of its effect: six forges that together set all of them.

use serde_json::{Value, json};

use super::Made;

/// A property and whether it had its effect.
pub(super) type Row = (&'static str, fn(&Made) -> bool);

/// A forge, and the properties that it shows.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Values that are known only when the account has been seeded are in capitals.
    pub(super) properties: Value,
    pub(super) rows: &'static [Row],
}

pub(super) fn cases() -> Vec<Case> {
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
            "JobStateTimeLimit": 1200, "SchedulingPolicyArn": "POLICY", "ShareIdentifier": "blue", "CliPath": "/opt/conda/bin/aws",
            "AllowBuckets": ["s3://references/human"], "ReadBuckets": ["s3://genomes/hg38", "panels"], "ExecutionRole": "ROLE/execution",
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
            ("ShareIdentifier", |it| it.config("shareIdentifier = 'blue'")),
            ("ReadBuckets", |it| {
                let reads = ["genomes/hg38/*", "panels/*"];
                reads.iter().all(|each| it.may("InstanceRole", &format!("arn:aws:s3:::{each}")))
                    && !it.may("InstanceRole", "ngi-igenomes")
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
                let resources = it.state.resources();
                let ours: Vec<_> = resources
                    .iter()
                    .filter(|(_, _, tags)| tags.contains_key("towerforge:forge-id"))
                    .collect();
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
pub(super) const ELSEWHERE: &[(&str, &str)] = &[
    ("ServiceToken", "every stack has one, or nobody would be asked"),
    ("ServiceTimeout", "an_older_event_than_its_timeout_is_stale"),
    ("ImageRefresh", "a_new_image_is_a_new_generation_and_a_nonce_is_nothing"),
    ("Nonce", "a_new_image_is_a_new_generation_and_a_nonce_is_nothing"),
    ("DisposeOnDeletion", "the tests in kept.rs"),
    ("FsxSubnet", "the tests in availability_zones.rs"),
];
