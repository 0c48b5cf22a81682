//! Attempts with the properties of a stack.

use serde_json::{Value, json};

use super::{Row, with};
use crate::runtime_api::Outcome;
use crate::test_account::TestAccount;

/// The attempts, each with a word that the refusal must hold.
fn attempts(account: &str) -> Vec<(&'static str, Value, &'static str)> {
    let role = |name: &str| format!("arn:aws:iam::{account}:role/{name}");
    vec![
        ("an administrator as `HeadJobRole`", json!({ "HeadJobRole": role("Admin") }), "HeadJobRole"),
        (
            "an administrator as `ComputeJobRole`",
            json!({ "ComputeJobRole": role("Admin") }),
            "ComputeJobRole",
        ),
        ("an administrator as `ExecutionRole`", json!({ "ExecutionRole": role("Admin") }), "ExecutionRole"),
        (
            "an allowed name with a path before it",
            json!({ "HeadJobRole": role("admins/genomics-x") }),
            "HeadJobRole",
        ),
        (
            "an allowed name of another account",
            json!({ "HeadJobRole": "arn:aws:iam::999999999999:role/genomics-x" }),
            "HeadJobRole",
        ),
        ("all roles as `HeadJobRole`", json!({ "HeadJobRole": role("*") }), "HeadJobRole"),
        ("a wildcard in an allowed name", json!({ "HeadJobRole": role("genomics-*") }), "HeadJobRole"),
        (
            "`AdministratorAccess` in `InstanceRolePolicies`",
            json!({ "InstanceRolePolicies": ["arn:aws:iam::aws:policy/AdministratorAccess"] }),
            "InstanceRolePolicies",
        ),
        (
            "it behind an allowed policy, in one string",
            json!({ "InstanceRolePolicies":
                "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore,arn:aws:iam::aws:policy/AdministratorAccess" }),
            "AdministratorAccess",
        ),
        (
            "`AdministratorAccess` as `PermissionsBoundary`",
            json!({ "PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess" }),
            "PermissionsBoundary",
        ),
        ("`none` as `PermissionsBoundary`", json!({ "PermissionsBoundary": "none" }), "PermissionsBoundary"),
        (
            "an assume-role statement in `InstanceRoleStatements`",
            json!({ "InstanceRoleStatements": [{ "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*" }] }),
            "InstanceRoleStatements",
        ),
        ("a `ForgeId` that leaves the prefix", json!({ "ForgeId": "../x" }), "ForgeId"),
        ("a `ForgeId` with a path", json!({ "ForgeId": "a/b" }), "ForgeId"),
        ("a `ForgeId` that is a wildcard", json!({ "ForgeId": "*" }), "ForgeId"),
        ("a `ForgeId` with another forge's name in it", json!({ "ForgeId": "x-ServiceRole" }), "ForgeId"),
        ("a `ForgeId` that looks like another", json!({ "ForgeId": "\u{421}afe1" }), "ForgeId"),
        ("a `ForgeId` with a space of no width", json!({ "ForgeId": "Cafe1\u{200b}" }), "ForgeId"),
        ("a `ForgeId` that is too long", json!({ "ForgeId": "x".repeat(23) }), "ForgeId"),
        ("an IAM variable as `ForgeId`", json!({ "ForgeId": "${aws:userid}" }), "ForgeId"),
        (
            "the tag that identifies the owning stack",
            json!({ "Tags": { "towerforge:stack-id": "theirs" } }),
            "Tags",
        ),
        ("the same in capitals", json!({ "Tags": { "TowerForge:Stack-Id": "theirs" } }), "Tags"),
        ("a tag reserved by AWS", json!({ "Tags": { "aws:cloudformation:stack-name": "theirs" } }), "Tags"),
        ("all buckets as `AllowBuckets`", json!({ "AllowBuckets": ["*"] }), "AllowBuckets"),
        ("all buckets as `s3://*`", json!({ "AllowBuckets": ["s3://*"] }), "AllowBuckets"),
        ("a bucket with an object pattern", json!({ "AllowBuckets": ["lab-data/*,*"] }), "AllowBuckets"),
        ("a pattern in `ReadBuckets`", json!({ "ReadBuckets": ["s3://lab-*"] }), "ReadBuckets"),
        (
            "an IAM variable in `ReadBuckets`",
            json!({ "ReadBuckets": ["lab/${aws:username}"] }),
            "ReadBuckets",
        ),
        ("all buckets as `WorkDir`", json!({ "WorkDir": "s3://*/work" }), "WorkDir"),
        ("an IAM variable as bucket", json!({ "WorkDir": "s3://${aws:username}/work" }), "WorkDir"),
        ("another region", json!({ "Region": "us-east-1" }), "Region"),
        (
            "another account's scheduling policy",
            json!({ "SchedulingPolicyArn": "arn:aws:batch:eu-west-1:999999999999:scheduling-policy/theirs" }),
            "SchedulingPolicyArn",
        ),
        (
            "a property that does not exist",
            json!({ "ServiceRolePolicies": ["arn:aws:iam::aws:policy/AdministratorAccess"] }),
            "ServiceRolePolicies",
        ),
        ("a command in `WorkDir`", json!({ "WorkDir": "s3://lab-data/$(id)" }), "WorkDir"),
        ("a command in `EfsMount`", json!({ "EfsCreate": true, "EfsMount": "/mnt/`id`" }), "EfsMount"),
        ("a mount over the system", json!({ "EfsCreate": true, "EfsMount": "/etc" }), "EfsMount"),
        ("a mount that climbs", json!({ "FsxSize": 1200, "FsxMount": "/mnt/../etc" }), "FsxMount"),
        (
            "mount options in `FsxName`",
            json!({ "FsxName": "fs-0123456789abcdef0.fsx.eu-west-1.amazonaws.com@tcp:/x /etc" }),
            "FsxName",
        ),
        ("another server as `FsxName`", json!({ "FsxName": "lustre.attacker.example" }), "FsxName"),
        ("a command in `CliPath`", json!({ "CliPath": "/opt/aws;id/bin/aws" }), "CliPath"),
        ("a quote in `Volumes`", json!({ "Volumes": ["/mnt/a':/b"] }), "Volumes"),
        ("another cluster in `EcsConfig`", json!({ "EcsConfig": "ECS_CLUSTER=theirs" }), "EcsConfig"),
        (
            "it behind a line that is allowed",
            json!({ "EcsConfig": "ECS_X=1\rECS_CLUSTER=theirs" }),
            "EcsConfig",
        ),
        ("a command as variable in `EcsConfig`", json!({ "EcsConfig": "X;id=1" }), "EcsConfig"),
        ("a command as `ImageId`", json!({ "ImageId": "ami-$(id)" }), "ImageId"),
        ("an SSM parameter as `ImageId`", json!({ "ImageId": "resolve:ssm:/their/secret" }), "ImageId"),
        ("a command as instance type", json!({ "InstanceTypes": ["m5.large;id"] }), "InstanceTypes"),
        ("a command as `LogGroup`", json!({ "LogGroup": "/aws/batch/job';id" }), "LogGroup"),
        ("a command as subnet", json!({ "Subnets": ["subnet-$(id)"] }), "Subnets"),
        ("a command as the name of a variable", json!({ "Environment": { "A=1;id": "x" } }), "Environment"),
        (
            "a second line in a variable",
            json!({ "Environment": { "A": "x\nexport PATH=/evil" } }),
            "Environment",
        ),
        ("a script's end in `PreRunScript`", json!({ "PreRunScript": "true\u{0}id" }), "PreRunScript"),
    ]
}

/// A stack with one hostile property each.
pub(super) async fn properties(aws: &TestAccount) -> Vec<Row> {
    let mut rows = Vec::new();
    for (what, more, word) in attempts(&aws.cloud.id) {
        let seq = aws.now().await;
        let answer = aws.stack(with(&more)).create().await.expect_failure();
        assert!(answer.reason.contains(word), "{what}: {}", answer.reason);
        refused_at_once(aws, what, seq).await;
        rows.push(Row::new(what, "refused by the function", sentence(&answer.reason, &aws.cloud.id)));
    }
    for (what, url) in [
        ("an attacker's server as `ResponseURL`", "https://attacker.example/answer"),
        ("a host that ends like one of AWS's", "https://s3.amazonaws.com.attacker.example/answer"),
        ("AWS's host name as user name", "https://s3.amazonaws.com@attacker.example/answer"),
        ("a plain HTTP URL", "http://203.0.113.1/answer"),
        ("the instance metadata service", "http://169.254.169.254/latest/meta-data/"),
    ] {
        let seq = aws.now().await;
        let mut event = aws.stack(with(&json!({}))).create_event();
        event["ResponseURL"] = json!(url);
        let Outcome::Errored { message, .. } = aws.invoke(event).await else { panic!("{what}: answered") };
        assert!(!message.contains(url), "a ResponseURL is not repeated: {message}");
        refused_at_once(aws, what, seq).await;
        rows.push(Row::new(what, "refused by the function", sentence(&message, &aws.cloud.id)));
    }
    rows
}

/// Only the calls that order operations have been made: those to CloudFormation and to the claim's table.
async fn refused_at_once(aws: &TestAccount, what: &str, seq: u64) {
    let mut calls = aws.calls().await.since(seq).by_operation();
    calls.retain(|call, _| call != "cloudformation:DescribeStackResource" && !call.starts_with("dynamodb:"));
    assert!(calls.is_empty(), "{what}: refused after {calls:?}");
}

/// A stack that names the forge of another.
pub(super) async fn foreign_forge() -> Vec<Row> {
    let aws = TestAccount::new().await;
    let theirs = aws.stack(with(&json!({ "ForgeId": "Cafe1" })));
    theirs.create().await.expect_success();
    let before = aws.state().await;
    let mut rows = Vec::new();
    let mut left_alone = async |what: &str, reason: Option<String>| {
        assert_eq!(aws.state().await, before, "{what}");
        let outcome = if reason.is_some() { "refused by the function" } else { "nothing happens" };
        let said = reason.map(|reason| sentence(&reason, &aws.cloud.id)).unwrap_or_default();
        // The stack's ARN holds a number that differs each time.
        rows.push(Row::new(what, outcome, said.split(" in stack").next().unwrap_or_default()));
    };

    let ours = aws.stack(with(&json!({ "ForgeId": "Cafe1" })));
    let reason = ours.create().await.expect_failure().reason;
    assert!(reason.contains("Cafe1") && reason.contains(theirs.id()), "{reason}");
    left_alone("its `ForgeId`", Some(reason)).await;

    ours.roll_back().await.expect_success();
    left_alone("its `ForgeId`, and then the rollback", None).await;

    let mut event = ours.create_event();
    ours.put_statuses("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS").await;
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!("Cafe1");
    aws.play(event.clone()).await.expect_success();
    left_alone("its ID as `PhysicalResourceId` of a Delete", None).await;

    ours.put_statuses("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS").await;
    event["RequestType"] = json!("Update");
    event["OldResourceProperties"] = event["ResourceProperties"].clone();
    let reason = aws.play(event.clone()).await.expect_failure().reason;
    left_alone("the same of an Update", Some(reason)).await;

    ours.put_statuses("DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS").await;
    event["RequestType"] = json!("Delete");
    event["PhysicalResourceId"] = json!("made-up");
    event["OldResourceProperties"] = json!({ "ForgeId": "Cafe1" });
    aws.play(event).await.expect_success();
    left_alone("its ID among the old properties of a Delete", None).await;

    theirs.delete().await.expect_success();
    aws.assert_nothing_left().await;
    rows
}

/// The sentence in a reason, without the code before it and the advice after it.
fn sentence(reason: &str, account: &str) -> String {
    let text = reason.replace(account, "123456789012");
    let text = text.split_once("] ").map_or(text.as_str(), |(_, rest)| rest);
    text.split(". To do:").next().unwrap_or_default().to_owned()
}
