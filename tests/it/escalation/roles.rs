//! The rights of the roles of a forge.

use serde_json::{Value, json};

use super::{Row, with};
use crate::rights::Rights;
use crate::test_account::{Setting, TestAccount};

/// An action, a resource (`ACCOUNT` stands for the account), and the service that a role is passed to.
type Ask = (&'static str, &'static str, Option<&'static str>);

async fn ask(aws: &TestAccount, role: &str, asks: &[Ask]) -> Vec<(bool, String)> {
    let asks: Vec<Value> = asks
        .iter()
        .map(|(action, resource, to)| {
            let context = to.map_or(json!({}), |service| json!({ "iam:PassedToService": service }));
            let resource = resource.replace("ACCOUNT", &aws.cloud.id);
            json!({ "action": action, "resource": resource, "context": context })
        })
        .collect();
    aws.cloud.may(role, json!(asks)).await
}

/// A stack that asks for everything gets only the rights within the boundary.
pub(super) async fn under_the_boundary(aws: &TestAccount) -> Vec<Row> {
    const BEYOND: [Ask; 19] = [
        ("iam:CreateRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-ServiceRole", None),
        ("iam:PutRolePolicy", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole", None),
        ("iam:AttachRolePolicy", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole", None),
        (
            "iam:DeleteRolePermissionsBoundary",
            "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole",
            None,
        ),
        ("iam:CreatePolicyVersion", "arn:aws:iam::ACCOUNT:policy/TowerForge-boundary", None),
        ("iam:CreateAccessKey", "arn:aws:iam::ACCOUNT:user/admin", None),
        ("iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", Some("ecs-tasks.amazonaws.com")),
        (
            "iam:PassRole",
            "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-ServiceRole",
            Some("lambda.amazonaws.com"),
        ),
        (
            "iam:CreateServiceLinkedRole",
            "arn:aws:iam::ACCOUNT:role/aws-service-role/spot.amazonaws.com/*",
            None,
        ),
        ("sts:AssumeRole", "arn:aws:iam::ACCOUNT:role/Admin", None),
        ("ec2:RunInstances", "*", None),
        ("ec2:CreateTags", "arn:aws:ec2:eu-west-1:ACCOUNT:launch-template/lt-0123456789abcdef0", None),
        ("s3:GetObject", "arn:aws:s3:::payroll/2026.csv", None),
        ("s3:PutBucketPolicy", "arn:aws:s3:::lab-data", None),
        (
            "secretsmanager:GetSecretValue",
            "arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:database-AbCdEf",
            None,
        ),
        ("ssm:GetParameter", "arn:aws:ssm:eu-west-1:ACCOUNT:parameter/database", None),
        ("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:ACCOUNT:function:TowerForge-handler", None),
        ("batch:TagResource", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Evil1-work", None),
        ("kms:Decrypt", "arn:aws:kms:eu-west-1:ACCOUNT:key/1b2c3d4e-0000-4000-8000-000000000000", None),
    ];
    let everything = json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]);
    let stack = aws.stack(with(
        &json!({ "ForgeId": "Evil1", "InstanceRoleStatements": everything, "InstanceRolePolicies": [
        "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"] }),
    ));
    stack.create().await.expect_success();
    let answers = ask(aws, "TowerForge-Evil1-InstanceRole", &BEYOND).await;
    let mut rows = Vec::new();
    for ((action, resource, to), (allowed, by)) in BEYOND.iter().zip(answers) {
        let passed = to.map(|service| format!(" to {service}")).unwrap_or_default();
        let what = format!("`{action}` on `{}`{passed}", resource.replace("ACCOUNT", "123456789012"));
        assert!(!allowed, "{what}");
        assert_eq!(by, "its permissions boundary", "{what}: the role itself has it");
        rows.push(Row::new(what, "denied", format!("the instance role: by {by}")));
    }
    // AWS's own policy for the service role passes any role.
    let pass: [Ask; 1] = [("iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", Some("ec2.amazonaws.com"))];
    let (allowed, by) = ask(aws, "TowerForge-Evil1-ServiceRole", &pass).await.remove(0);
    assert!(!allowed);
    rows.push(Row::new(
        "`iam:PassRole` on `arn:aws:iam::123456789012:role/Admin` to ec2.amazonaws.com",
        "denied",
        format!("the service role: by {by}"),
    ));
    stack.delete().await.expect_success();
    rows
}

#[tokio::test]
async fn the_roles_of_a_forge_reach_what_it_needs_and_no_more() {
    // The role, the action that it asks for, and whether it is allowed.
    const CASES: [(&str, Ask, bool); 33] = [
        ("InstanceRole", ("s3:GetObject", "arn:aws:s3:::lab-data/work/a", None), true),
        ("InstanceRole", ("s3:PutObject", "arn:aws:s3:::lab-data/work/a", None), true),
        ("InstanceRole", ("s3:ListBucket", "arn:aws:s3:::lab-data", None), true),
        ("InstanceRole", ("s3:GetObject", "arn:aws:s3:::lab-references/hg38", None), true),
        ("InstanceRole", ("s3:GetObject", "arn:aws:s3:::lab-other/a", None), false),
        ("InstanceRole", ("s3:GetObject", "arn:aws:s3:::lab-data-2/a", None), false),
        ("InstanceRole", ("s3:GetObject", "arn:aws:s3:::ngi-igenomes/igenomes/Homo_sapiens/a", None), true),
        ("InstanceRole", ("s3:ListBucket", "arn:aws:s3:::ngi-igenomes", None), true),
        ("InstanceRole", ("s3:PutObject", "arn:aws:s3:::ngi-igenomes/igenomes/a", None), false),
        ("InstanceRole", ("s3:ListAllMyBuckets", "*", None), false),
        ("InstanceRole", ("s3:DeleteBucket", "arn:aws:s3:::lab-data", None), false),
        (
            "InstanceRole",
            ("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe1-work", None),
            true,
        ),
        (
            "InstanceRole",
            ("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe2-work", None),
            false,
        ),
        (
            "InstanceRole",
            ("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/nf-hello:1", None),
            true,
        ),
        (
            "InstanceRole",
            ("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/theirs:1", None),
            false,
        ),
        (
            "InstanceRole",
            ("batch:RegisterJobDefinition", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/theirs", None),
            false,
        ),
        (
            "InstanceRole",
            ("batch:UpdateJobQueue", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe1-work", None),
            false,
        ),
        (
            "InstanceRole",
            (
                "iam:PassRole",
                "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-ExecutionRole",
                Some("ecs-tasks.amazonaws.com"),
            ),
            true,
        ),
        (
            "InstanceRole",
            (
                "iam:PassRole",
                "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-ExecutionRole",
                Some("ec2.amazonaws.com"),
            ),
            false,
        ),
        (
            "InstanceRole",
            (
                "iam:PassRole",
                "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe2-ExecutionRole",
                Some("ecs-tasks.amazonaws.com"),
            ),
            false,
        ),
        (
            "InstanceRole",
            ("iam:GetRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-ExecutionRole", None),
            true,
        ),
        (
            "InstanceRole",
            (
                "secretsmanager:GetSecretValue",
                "arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:tower-x",
                None,
            ),
            false,
        ),
        ("InstanceRole", ("ec2:RunInstances", "*", None), false),
        ("InstanceRole", ("sts:AssumeRole", "arn:aws:iam::ACCOUNT:role/Admin", None), false),
        ("ExecutionRole", ("ecr:BatchGetImage", "*", None), true),
        ("ExecutionRole", ("s3:GetObject", "arn:aws:s3:::lab-data/work/a", None), false),
        (
            "ExecutionRole",
            (
                "secretsmanager:GetSecretValue",
                "arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:tower-x",
                None,
            ),
            false,
        ),
        ("ServiceRole", ("ec2:RunInstances", "*", None), true),
        (
            "ServiceRole",
            (
                "iam:PassRole",
                "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-InstanceRole",
                Some("ec2.amazonaws.com"),
            ),
            true,
        ),
        (
            "ServiceRole",
            ("iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", Some("ec2.amazonaws.com")),
            false,
        ),
        ("ServiceRole", ("iam:CreateRole", "arn:aws:iam::ACCOUNT:role/x", None), false),
        ("ServiceRole", ("s3:GetObject", "arn:aws:s3:::lab-data/work/a", None), false),
        ("ServiceRole", ("kms:CreateGrant", "arn:aws:kms:eu-west-1:ACCOUNT:key/1", None), false),
    ];
    let aws = TestAccount::new().await;
    let stack = aws.stack(with(&json!({ "ForgeId": "Cafe1", "AllowBuckets": ["lab-references"] })));
    stack.create().await.expect_success();
    for (role, asked, expected) in &CASES {
        let (allowed, by) = ask(&aws, &format!("TowerForge-Cafe1-{role}"), &[*asked]).await.remove(0);
        assert_eq!(allowed, *expected, "{role}: {asked:?} by {by}");
    }
    println!("roles: {} questions to three roles, each answered as expected", CASES.len());
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}

/// With a head job on Fargate, instances run tasks only.
#[tokio::test]
async fn the_head_has_its_own_role_where_it_is_asked_for() {
    let rights = Rights::default();
    let aws = TestAccount::with(Setting { rights, ..Setting::default() }).await;
    let properties = json!({ "ForgeId": "Cafe1", "FargateHeadEnabled": true, "WaveEnabled": true, "Fusion2Enabled": true });
    let stack = aws.stack(with(&properties));
    stack.create().await.expect_success();
    let submit: [Ask; 1] =
        [("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe1-work", None)];
    for (role, expected) in [("FargateRole", true), ("InstanceRole", false)] {
        let (allowed, _) = ask(&aws, &format!("TowerForge-Cafe1-{role}"), &submit).await.remove(0);
        assert_eq!(allowed, expected, "{role}");
    }
    let state = aws.state().await;
    for role in &state.roles {
        let service = role.trust["Statement"][0]["Principal"]["Service"].as_str().unwrap();
        let account = &role.trust["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"];
        // EC2 does not say for which account it assumes a role.
        let wanted = if service == "ec2.amazonaws.com" { Value::Null } else { json!(aws.cloud.id) };
        assert_eq!(*account, wanted, "{}", role.name);
    }
    stack.delete().await.expect_success();
    aws.assert_nothing_left().await;
}
