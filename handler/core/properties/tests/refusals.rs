//! Refused properties, with the text of each refusal.

use expect_test::expect;
use serde_json::{Map, Value, json};

use super::{limits, lines, object, refused};
use crate::properties::parse;

#[test]
fn all_faults_are_told_at_once() {
    let raw = object(json!({
        "MaxCpu": 500, "MinCpus": "many", "Type": "spot", "Subnets": "subnet-1,sub", "EbsAutoScale": "true",
        "DisposeOnDeletion": "yes", "Region": "us-east-1", "BidPercentage": "0",
    }));
    expect![[r#"
        MaxCpu: unknown property; did you mean MaxCpus?
        EbsAutoScale: given "true", allowed: false, or nothing; EBS autoscaling is retired and its software archived; use Fusion2Enabled, or a larger EbsBootSize
        WorkDir: missing, allowed: s3://bucket/path, or an absolute path on the EFS or FSx mount, of letters, digits and -_.+=@
        MaxCpus: missing, allowed: an integer from 1
        Region: given "us-east-1", allowed: the region of the function; this function creates forges in eu-west-1 only; deploy it to the other region too
        Type: given "spot", allowed: SPOT or EC2; did you mean SPOT?
        MinCpus: given "many", allowed: an integer from 0 to MaxCpus
        BidPercentage: given "0", allowed: an integer from 1 to 100
        Subnets: given "subnet-1", allowed: subnets' IDs, such as subnet-0123456789abcdef0; up to 16 with `FargateHeadEnabled`
        Subnets: given "sub", allowed: subnets' IDs, such as subnet-0123456789abcdef0; up to 16 with `FargateHeadEnabled`
        DisposeOnDeletion: given "yes", allowed: true or false
    "#]].assert_eq(&lines(&parse(&raw, &limits()).unwrap_err()));
}

#[test]
fn an_empty_resource_is_told_what_it_lacks() {
    expect![[r#"
        WorkDir: missing, allowed: s3://bucket/path, or an absolute path on the EFS or FSx mount, of letters, digits and -_.+=@
        MaxCpus: missing, allowed: an integer from 1
    "#]]
    .assert_eq(&lines(&parse(&Map::new(), &limits()).unwrap_err()));
}

#[test]
fn mounts_leave_the_system_alone() {
    refused(
        json!({ "EfsCreate": true, "EfsMount": "/etc/efs" }),
        expect![[r#"
            EfsMount: given "/etc/efs", allowed: an absolute path that the system does not use, of letters, digits and -_.
        "#]],
    );
    refused(
        json!({ "EfsCreate": true, "EfsMount": "/" }),
        expect![[r#"
            EfsMount: given "/", allowed: an absolute path that the system does not use, of letters, digits and -_.
        "#]],
    );
    refused(
        json!({ "EfsCreate": true, "EfsMount": "/mnt/$(reboot)" }),
        expect![[r#"
            EfsMount: given "/mnt/$(reboot)", allowed: an absolute path that the system does not use, of letters, digits and -_.
        "#]],
    );
    refused(
        json!({ "EfsCreate": true, "EfsMount": "/mnt/../etc" }),
        expect![[r#"
            EfsMount: given "/mnt/../etc", allowed: an absolute path that the system does not use, of letters, digits and -_.
        "#]],
    );
}

#[test]
fn roles_are_those_that_the_deployment_allows() {
    refused(
        json!({ "HeadJobRole": "arn:aws:iam::123456789012:role/admin", "ComputeJobRole": "arn:aws:iam::999999999999:role/pipelines/x" }),
        expect![[r#"
            ComputeJobRole: given "arn:aws:iam::999999999999:role/pipelines/x", allowed: the ARN of a role that the deployment allows
            HeadJobRole: given "arn:aws:iam::123456789012:role/admin", allowed: arn:aws:iam::123456789012:role/pipelines/*; the deployer of the function can allow it with the template parameter AllowedRoles
        "#]],
    );
    refused(
        json!({ "PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess" }),
        expect![[r#"
        PermissionsBoundary: given "arn:aws:iam::aws:policy/AdministratorAccess", allowed: arn:aws:iam::123456789012:policy/boundary; the deployer of the function can allow it with the template parameter AllowedBoundaries
    "#]],
    );
    refused(
        json!({ "InstanceRolePolicies": ["arn:aws:iam::aws:policy/AdministratorAccess", "AdministratorAccess"] }),
        expect![[r#"
            InstanceRolePolicies: given "AdministratorAccess", allowed: up to 6 ARNs of managed policies that the deployment allows
            InstanceRolePolicies: given "arn:aws:iam::aws:policy/AdministratorAccess", allowed: arn:aws:iam::aws:policy/AmazonEC2ContainerRegistry*; the deployer of the function can allow it with the template parameter AllowedPolicies
        "#]],
    );
    refused(
        json!({ "SchedulingPolicyArn": "arn:aws:batch:us-east-1:123456789012:scheduling-policy/fair" }),
        expect![[r#"
            SchedulingPolicyArn: given "arn:aws:batch:us-east-1:123456789012:scheduling-policy/fair", allowed: the ARN of a Batch scheduling policy of this account and region
        "#]],
    );
}

#[test]
fn statements_are_those_of_an_identity_policy() {
    refused(
        json!({ "InstanceRoleStatements": [{ "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*" }] }),
        expect![[r#"
            InstanceRoleStatements: given {"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}, allowed: IAM statements with Effect, Action or NotAction, Resource or NotResource, and perhaps Sid and Condition
        "#]],
    );
    refused(
        json!({ "InstanceRoleStatements": [{ "Effect": "allow", "Action": "s3:*", "Resource": "*" }, "text"] }),
        expect![[r#"
            InstanceRoleStatements: given {"Effect":"allow","Action":"s3:*","Resource":"*"}, allowed: IAM statements with Effect, Action or NotAction, Resource or NotResource, and perhaps Sid and Condition
            InstanceRoleStatements: given "text", allowed: IAM statements with Effect, Action or NotAction, Resource or NotResource, and perhaps Sid and Condition
        "#]],
    );
}

#[test]
fn the_agents_settings_are_lines() {
    refused(
        json!({ "EcsConfig": "ECS_A=1\nreboot" }),
        expect![[r#"
            EcsConfig: given "reboot", allowed: lines of NAME=value, up to 4096 bytes; each line must be NAME=value
        "#]],
    );
    refused(
        json!({ "EcsConfig": "ECS_CLUSTER=other\nECS_ENGINE_AUTH_DATA={\"p\":\"secret\"}" }),
        expect![[r#"
            EcsConfig: given "ECS_CLUSTER", allowed: lines of NAME=value, up to 4096 bytes; AWS Batch chooses the cluster of its instances
            EcsConfig: given "ECS_ENGINE_AUTH_DATA", allowed: lines of NAME=value, up to 4096 bytes; user data is widely readable; keep images in ECR instead
        "#]],
    );
}

#[test]
fn tags_are_the_users_own() {
    refused(
        json!({ "Tags": { "aws:x": "1", "TowerForge:forge-id": "2", "": "3", "a*": "4", "b": "*", "Owner": "5", "owner": "6" } }),
        expect![[r#"
            Tags.aws:x: given "aws:x", allowed: keys that do not begin with aws:; AWS reserves them
            Tags.TowerForge:forge-id: given "TowerForge:forge-id", allowed: keys that do not begin with towerforge:; they record which forge owns a resource
            Tags.: given "", allowed: keys of 1 to 128 letters, digits, spaces and _.:/=+-@
            Tags.a*: given "a*", allowed: keys of 1 to 128 letters, digits, spaces and _.:/=+-@
            Tags.b: given "*", allowed: values of up to 256 letters, digits, spaces and _.:/=+-@
            Tags.owner: given "6", allowed: each key once; IAM treats Owner and owner as one key
        "#]],
    );
    refused(
        json!({ "Tags": ["Owner"] }),
        expect![[r#"
        Tags: given ["Owner"], allowed: a map, or a list of Key and Value; up to 42
    "#]],
    );
    refused(
        json!({ "Tags": [{ "Key": "Owner" }] }),
        expect![[r#"
        Tags: given [{"Key":"Owner"}], allowed: a map, or a list of Key and Value; up to 42
    "#]],
    );
}

#[test]
fn variables_have_names_and_a_target() {
    refused(
        json!({ "Environment": [{ "Name": "A", "Value": "1", "Head": false }, { "Name": "1B", "Value": "" }, { "Name": "C", "Value": "a\nb" }] }),
        expect![[r#"
            Environment: given "1B", allowed: names of letters, digits and _ that do not begin with a digit
            Environment.A: given false, allowed: Head or Compute true; otherwise nothing gets the variable
            Environment.C: given "a value of 3 bytes", allowed: values of one line and up to 1024 bytes
        "#]],
    );
    refused(
        json!({ "Environment": [{ "Name": "A", "Value": "1" }, { "Name": "A", "Value": "2" }] }),
        expect![[r#"
            Environment: given "A", allowed: each name once
        "#]],
    );
}

#[test]
fn ids_look_like_ids() {
    refused(
        json!({ "VpcId": "vpc-1", "Subnets": "sg-01234567", "SecurityGroups": ["subnet-01234567"], "ImageId": "ami-XYZ", "EfsId": "fs-", "FsxName": "fs-01234567" }),
        expect![[r#"
            ImageId: given "ami-XYZ", allowed: an image's ID, such as ami-0123456789abcdef0
            VpcId: given "vpc-1", allowed: a VPC's ID, such as vpc-0123456789abcdef0
            Subnets: given "sg-01234567", allowed: subnets' IDs, such as subnet-0123456789abcdef0; up to 16 with `FargateHeadEnabled`
            SecurityGroups: given "subnet-01234567", allowed: security groups' IDs, such as sg-0123456789abcdef0; up to 5 with `FargateHeadEnabled`
            EfsId: given "fs-", allowed: a file system's ID, such as fs-0123456789abcdef0
            FsxName: given "fs-01234567", allowed: a DNS name, such as fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com
        "#]],
    );
    refused(
        json!({ "ForgeId": "TowerForge-abc" }),
        expect![[r#"
        ForgeId: given "TowerForge-abc", allowed: 1 to 22 letters and digits; TowerForge- is prepended automatically
    "#]],
    );
    refused(
        json!({ "ForgeId": "abcdefghijklmnopqrstuvwxyz" }),
        expect![[r#"
        ForgeId: given "abcdefghijklmnopqrstuvwxyz", allowed: 1 to 22 letters and digits
    "#]],
    );
}

#[test]
fn settings_of_queues_and_logs_are_aws_own() {
    refused(
        json!({ "JobStateTimeLimit": 599, "LogRetentionDays": 31, "LogGroup": "a b" }),
        expect![[r#"
        JobStateTimeLimit: given 599, allowed: an integer from 600 to 86400
        LogGroup: given "a b", allowed: the name of a log group that exists
        LogRetentionDays: given 31, allowed: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653
    "#]],
    );
    refused(
        json!({ "Volumes": ["/a:/b:rx", "data"], "PreRunScript": 1 }),
        expect![[r#"
            Volumes: given "/a:/b:rx", allowed: absolute paths as /host, /host:/container or /host:/container:ro
            Volumes: given "data", allowed: absolute paths as /host, /host:/container or /host:/container:ro
            PreRunScript: given a value that is not repeated, allowed: text of up to 1024 bytes
        "#]],
    );
}

#[test]
fn retired_options_name_their_successor() {
    refused(
        json!({ "EbsBlockSize": 50, "FusionEnabled": "true", "StorageType": "efs", "LustreId": "fs-1", "HeadQueue": "q", "LabelIds": [1], "NvnmeStorageEnabled": true }),
        expect![[r#"
            EbsBlockSize: given 50, allowed: nothing; it belongs to EbsAutoScale, which is retired; use EbsBootSize
            FusionEnabled: given "true", allowed: false, or nothing; Fusion v1 is retired; use Fusion2Enabled with WaveEnabled
            StorageType: given "efs", allowed: nothing; it is retired; use EfsCreate, EfsId, FsxSize or FsxName
            LustreId: given "fs-1", allowed: nothing; it is retired; use FsxName, the file system's DNS name
            HeadQueue: given "q", allowed: nothing; the forge creates its queues; read the attribute HeadQueue
            LabelIds: given [1], allowed: nothing; they are labels of Seqera Platform; use Tags
            NvnmeStorageEnabled: given true, allowed: nothing; the name is misspelt in Tower Forge; use NvmeStorageEnabled
        "#]],
    );
}

#[test]
fn unknown_names_get_a_suggestion() {
    refused(
        json!({ "InstanceType": "m5", "SecurityGroupIds": "sg-01234567", "workdir": "s3://a", "Colour": "red" }),
        expect![[r#"
            InstanceType: unknown property; did you mean InstanceTypes?
            SecurityGroupIds: unknown property; did you mean SecurityGroups?
            workdir: unknown property; did you mean WorkDir?
            Colour: unknown property
        "#]],
    );
}

#[test]
fn what_the_deployment_lacks_is_refused() {
    let mut limits = limits();
    (limits.efs, limits.fsx, limits.allowed.roles) = (false, false, Vec::new());
    let raw = super::with(json!({
        "EfsCreate": true, "FsxName": "fs-01234567.fsx.eu-west-1.amazonaws.com",
        "ExecutionRole": "arn:aws:iam::123456789012:role/pipelines/exec",
    }));
    expect![[r#"
        EfsCreate: given true, allowed: only if the function is deployed with EnableEfs: true; otherwise it has no permissions for it
        FsxName: given "fs-01234567.fsx.eu-west-1.amazonaws.com", allowed: only if the function is deployed with EnableFsx: true; otherwise it has no permissions for it
        ExecutionRole: given "arn:aws:iam::123456789012:role/pipelines/exec", allowed: none in this deployment; the deployer of the function can allow it with the template parameter AllowedRoles
    "#]].assert_eq(&lines(&parse(&raw, &limits).unwrap_err()));
}

#[test]
fn there_is_room_for_42_tags() {
    let tags = |count| (0..count).map(|n| (format!("tag{n}"), Value::from("x"))).collect::<Map<_, _>>();
    super::parsed(json!({ "Tags": tags(42) }));
    refused(
        json!({ "Tags": tags(43) }),
        expect![[r#"
        Tags: given 43, allowed: up to 42 tags; AWS allows 50 tags, and the forge uses 8
    "#]],
    );
}
