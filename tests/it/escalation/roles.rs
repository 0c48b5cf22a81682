//! The rights of the roles of a forge.

use serde_json::{Map, Value, json};

use super::{Row, with};
use crate::rights::Rights;
use crate::test_account::{Setting, TestAccount};

/// A question about a right.
#[derive(Debug, Clone, Copy)]
struct Ask {
    action: &'static str,
    /// `ACCOUNT` stands for the account.
    resource: &'static str,
    /// Keys of the request beyond those that every request has.
    context: &'static [(&'static str, &'static str)],
    /// Whether the policy of the resource allows it to everybody.
    granted: bool,
}

const fn of(action: &'static str, resource: &'static str) -> Ask {
    Ask { action, resource, context: &[], granted: false }
}

const fn within(
    action: &'static str,
    resource: &'static str,
    context: &'static [(&'static str, &'static str)],
) -> Ask {
    Ask { action, resource, context, granted: false }
}

/// Although the policy of the resource allows it.
const fn granted(action: &'static str, resource: &'static str) -> Ask {
    Ask { action, resource, context: &[], granted: true }
}

const TO_TASKS: &[(&str, &str)] = &[("iam:PassedToService", "ecs-tasks.amazonaws.com")];
const TO_EC2: &[(&str, &str)] = &[("iam:PassedToService", "ec2.amazonaws.com")];
const TO_LAMBDA: &[(&str, &str)] = &[("iam:PassedToService", "lambda.amazonaws.com")];
const ELSEWHERE: &[(&str, &str)] = &[("aws:ResourceAccount", "999999999999")];
const THROUGH_EC2: &[(&str, &str)] = &[("kms:ViaService", "ec2.eu-west-1.amazonaws.com")];
const FOREIGN_IMAGE: &[(&str, &str)] = &[("ec2:Owner", "999999999999")];
const FOREIGN_INSTANCE: &[(&str, &str)] = &[("aws:ResourceTag/towerforge:forge-id", "Other1")];
const KEY_PAIR: &[(&str, &str)] = &[("ec2:KeyPairName", "ada")];
const FOREIGN_VPC: &[(&str, &str)] =
    &[("ec2:Vpc", "arn:aws:ec2:eu-west-1:ACCOUNT:vpc/vpc-0123456789abcdef0")];

async fn ask(aws: &TestAccount, role: &str, asks: &[Ask]) -> Vec<(bool, String)> {
    let here = |text: &str| text.replace("ACCOUNT", &aws.cloud.id);
    let asks: Vec<Value> = asks
        .iter()
        .map(|ask| {
            let context: Map<String, Value> =
                ask.context.iter().map(|(key, value)| ((*key).to_owned(), json!(here(value)))).collect();
            json!({ "action": ask.action, "resource": here(ask.resource), "context": context, "granted": ask.granted })
        })
        .collect();
    aws.cloud.may(role, json!(asks)).await
}

impl Ask {
    /// The question in the words of the page.
    fn said(&self) -> String {
        let shown = |text: &str| text.replace("ACCOUNT", "123456789012");
        let context: Vec<String> = self
            .context
            .iter()
            .map(|(key, value)| match *key {
                "iam:PassedToService" => format!(" to {value}"),
                "aws:ResourceAccount" => format!(" of account {value}"),
                _ => format!(", `{key}` {}", shown(value)),
            })
            .collect();
        let granted = if self.granted { ", which the resource's policy allows to everybody" } else { "" };
        format!("`{}` on `{}`{}{granted}", self.action, shown(self.resource), context.concat())
    }
}

/// What the instance role does not get, whatever a stack asks for.
const BEYOND: &[Ask] = &[
    of("iam:CreateRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-ServiceRole"),
    of("iam:PutRolePolicy", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole"),
    of("iam:AttachRolePolicy", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole"),
    of("iam:DeleteRolePermissionsBoundary", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole"),
    of("iam:TagRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-InstanceRole"),
    of("iam:CreatePolicyVersion", "arn:aws:iam::ACCOUNT:policy/TowerForge-boundary"),
    of("iam:CreateAccessKey", "arn:aws:iam::ACCOUNT:user/admin"),
    within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", TO_TASKS),
    within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Evil1-ServiceRole", TO_LAMBDA),
    of("iam:CreateServiceLinkedRole", "arn:aws:iam::ACCOUNT:role/aws-service-role/spot.amazonaws.com/*"),
    of("sts:AssumeRole", "arn:aws:iam::ACCOUNT:role/Admin"),
    of("ec2:RunInstances", "*"),
    of("ec2:TerminateInstances", "arn:aws:ec2:eu-west-1:ACCOUNT:instance/i-0123456789abcdef0"),
    of("ec2:CreateTags", "arn:aws:ec2:eu-west-1:ACCOUNT:launch-template/lt-0123456789abcdef0"),
    of("s3:GetObject", "arn:aws:s3:::payroll/2026.csv"),
    of("s3:PutBucketPolicy", "arn:aws:s3:::lab-data"),
    of("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:database-AbCdEf"),
    of("ssm:GetParameter", "arn:aws:ssm:eu-west-1:ACCOUNT:parameter/database"),
    of("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:ACCOUNT:function:TowerForge-handler"),
    of("batch:TagResource", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Evil1-work"),
    of("kms:Decrypt", "arn:aws:kms:eu-west-1:ACCOUNT:key/1b2c3d4e-0000-4000-8000-000000000000"),
    // Other people's job definitions: whoever submits one by its name runs the newest revision.
    of("batch:RegisterJobDefinition", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/billing-nightly"),
    of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/billing-nightly:3"),
    of("batch:TagResource", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/billing-nightly:3"),
    // Other people's clusters: tasks that ECS places on a joined instance bring their roles along.
    of("ecs:RegisterContainerInstance", "arn:aws:ecs:eu-west-1:ACCOUNT:cluster/prod"),
    of("ecs:DeregisterContainerInstance", "arn:aws:ecs:eu-west-1:ACCOUNT:cluster/prod"),
    of("ecs:Poll", "arn:aws:ecs:eu-west-1:ACCOUNT:container-instance/prod/0123456789abcdef"),
    of(
        "ecs:UpdateContainerInstancesState",
        "arn:aws:ecs:eu-west-1:ACCOUNT:container-instance/prod/0123456789abcdef",
    ),
    of("ecs:SubmitTaskStateChange", "arn:aws:ecs:eu-west-1:ACCOUNT:cluster/prod"),
    within(
        "ecs:TagResource",
        "arn:aws:ecs:eu-west-1:ACCOUNT:service/prod/web",
        &[("ecs:CreateAction", "RegisterContainerInstance")],
    ),
    // Other people's logs.
    of("logs:GetLogEvents", "arn:aws:logs:eu-west-1:ACCOUNT:log-group:/aws/lambda/payroll:log-stream:a"),
    of(
        "logs:PutLogEvents",
        "arn:aws:logs:eu-west-1:ACCOUNT:log-group:/aws/lambda/TowerForge-handler:log-stream:a",
    ),
    of("logs:CreateLogGroup", "arn:aws:logs:eu-west-1:ACCOUNT:log-group:/aws/lambda/payroll"),
    of("logs:GetLogEvents", "arn:aws:logs:eu-west-1:ACCOUNT:log-group:/tower-forge/Other1:log-stream:a"),
    // Data that leaves the account.
    within("s3:PutObject", "arn:aws:s3:::lab-of-somebody-else/stolen", ELSEWHERE),
    within("s3:DeleteObject", "arn:aws:s3:::lab-of-somebody-else/theirs", ELSEWHERE),
    // Another forge of the same deployment.
    of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Other1-work"),
    within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Other1-FargateRole", TO_TASKS),
    within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Other1-ExecutionRole", TO_TASKS),
    of("iam:GetRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Other1-InstanceRole"),
    of(
        "ecs:RegisterContainerInstance",
        "arn:aws:ecs:eu-west-1:ACCOUNT:cluster/TowerForge-Other1-work-1a2b3c4d_Batch_0",
    ),
    of("ecs:DescribeTasks", "arn:aws:ecs:eu-west-1:ACCOUNT:task/TowerForge-Other1-work-1a2b3c4d_Batch_0/0"),
    // Reads that show more than a forge.
    of("ec2:DescribeLaunchTemplateVersions", "*"),
    of("ec2:DescribeInstanceAttribute", "arn:aws:ec2:eu-west-1:ACCOUNT:instance/i-0123456789abcdef0"),
    of("ec2:DescribeImages", "*"),
    of("ecs:DescribeTaskDefinition", "*"),
    of("ecs:ListClusters", "*"),
    of("autoscaling:DescribeLaunchConfigurations", "*"),
    of("logs:DescribeLogGroups", "*"),
    // Keys.
    within(
        "kms:CreateGrant",
        "arn:aws:kms:eu-west-1:ACCOUNT:key/1b2c3d4e-0000-4000-8000-000000000000",
        THROUGH_EC2,
    ),
    // Within an account, the policy of a resource is enough, unless something is denied.
    granted("dynamodb:PutItem", "arn:aws:dynamodb:eu-west-1:ACCOUNT:table/orders"),
    granted("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:ACCOUNT:function:billing"),
    granted("sqs:SendMessage", "arn:aws:sqs:eu-west-1:ACCOUNT:orders"),
    granted("sns:Publish", "arn:aws:sns:eu-west-1:ACCOUNT:orders"),
    granted("sts:AssumeRole", "arn:aws:iam::ACCOUNT:role/Admin"),
];

/// What the service role does not get. AWS's own policy for it passes any role, and starts any instance.
const BEYOND_SERVICE: &[Ask] = &[
    within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", TO_EC2),
    within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Other1-InstanceRole", TO_EC2),
    of("ec2:TerminateInstances", "arn:aws:ec2:eu-west-1:ACCOUNT:instance/i-0123456789abcdef0"),
    within(
        "ec2:TerminateInstances",
        "arn:aws:ec2:eu-west-1:ACCOUNT:instance/i-0123456789abcdef1",
        FOREIGN_INSTANCE,
    ),
    within("ec2:RunInstances", "arn:aws:ec2:eu-west-1::image/ami-0123456789abcdef0", FOREIGN_IMAGE),
    within("ec2:RunInstances", "arn:aws:ec2:eu-west-1:ACCOUNT:key-pair/ada", KEY_PAIR),
    within("ec2:RunInstances", "arn:aws:ec2:eu-west-1:ACCOUNT:subnet/subnet-0123456789abcdef0", FOREIGN_VPC),
];

/// A stack that asks for everything gets only the rights within the boundary.
pub(super) async fn under_the_boundary(aws: &TestAccount) -> Vec<Row> {
    let everything = json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]);
    let stack = aws.stack(with(
        &json!({ "ForgeId": "Evil1", "InstanceRoleStatements": everything, "InstanceRolePolicies": [
        "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"] }),
    ));
    stack.create().await.expect_success();
    let mut rows = Vec::new();
    for (role, name, asks) in
        [("InstanceRole", "instance", BEYOND), ("ServiceRole", "service", BEYOND_SERVICE)]
    {
        let answers = ask(aws, &format!("TowerForge-Evil1-{role}"), asks).await;
        let allowed: Vec<String> = asks
            .iter()
            .zip(&answers)
            .filter(|(_, (allowed, _))| *allowed)
            .map(|(ask, _)| ask.said())
            .collect();
        assert!(allowed.is_empty(), "the {name} role may: {allowed:#?}");
        for (ask, (_, by)) in asks.iter().zip(answers) {
            assert_eq!(by, "its permissions boundary", "{}: the role itself has it", ask.said());
            rows.push(Row::new(ask.said(), "denied", format!("the {name} role: by {by}")));
        }
    }
    stack.delete().await.expect_success();
    rows
}

#[tokio::test]
async fn the_roles_of_a_forge_reach_what_it_needs_and_no_more() {
    // The role, the action that it asks for, and whether it is allowed.
    const CASES: [(&str, Ask, bool); 34] = [
        ("InstanceRole", of("s3:GetObject", "arn:aws:s3:::lab-data/work/a"), true),
        ("InstanceRole", of("s3:PutObject", "arn:aws:s3:::lab-data/work/a"), true),
        ("InstanceRole", of("s3:ListBucket", "arn:aws:s3:::lab-data"), true),
        ("InstanceRole", of("s3:GetObject", "arn:aws:s3:::lab-references/hg38"), true),
        ("InstanceRole", of("s3:GetObject", "arn:aws:s3:::lab-other/a"), false),
        ("InstanceRole", of("s3:GetObject", "arn:aws:s3:::lab-data-2/a"), false),
        ("InstanceRole", of("s3:GetObject", "arn:aws:s3:::ngi-igenomes/igenomes/Homo_sapiens/a"), true),
        ("InstanceRole", of("s3:ListBucket", "arn:aws:s3:::ngi-igenomes"), true),
        ("InstanceRole", of("s3:PutObject", "arn:aws:s3:::ngi-igenomes/igenomes/a"), false),
        ("InstanceRole", of("s3:ListAllMyBuckets", "*"), false),
        ("InstanceRole", of("s3:DeleteBucket", "arn:aws:s3:::lab-data"), false),
        (
            "InstanceRole",
            of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe1-work"),
            true,
        ),
        (
            "InstanceRole",
            of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe2-work"),
            false,
        ),
        (
            "InstanceRole",
            of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/nf-hello:1"),
            true,
        ),
        (
            "InstanceRole",
            of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/theirs:1"),
            false,
        ),
        (
            "InstanceRole",
            of("batch:RegisterJobDefinition", "arn:aws:batch:eu-west-1:ACCOUNT:job-definition/theirs"),
            false,
        ),
        (
            "InstanceRole",
            of("batch:UpdateJobQueue", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe1-work"),
            false,
        ),
        (
            "InstanceRole",
            within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-ExecutionRole", TO_TASKS),
            true,
        ),
        (
            "InstanceRole",
            within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-ExecutionRole", TO_EC2),
            false,
        ),
        (
            "InstanceRole",
            within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe2-ExecutionRole", TO_TASKS),
            false,
        ),
        ("InstanceRole", of("iam:GetRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-ExecutionRole"), true),
        (
            "InstanceRole",
            of("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:tower-x"),
            false,
        ),
        ("InstanceRole", of("ec2:RunInstances", "*"), false),
        ("InstanceRole", of("sts:AssumeRole", "arn:aws:iam::ACCOUNT:role/Admin"), false),
        ("ExecutionRole", of("ecr:BatchGetImage", "*"), true),
        ("ExecutionRole", of("s3:GetObject", "arn:aws:s3:::lab-data/work/a"), false),
        (
            "ExecutionRole",
            of("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:ACCOUNT:secret:tower-x"),
            false,
        ),
        ("ServiceRole", of("ec2:RunInstances", "*"), true),
        (
            "ServiceRole",
            within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/TowerForge-Cafe1-InstanceRole", TO_EC2),
            true,
        ),
        ("ServiceRole", within("iam:PassRole", "arn:aws:iam::ACCOUNT:role/Admin", TO_EC2), false),
        (
            "ServiceRole",
            within(
                "ec2:TerminateInstances",
                "arn:aws:ec2:eu-west-1:ACCOUNT:instance/i-0123456789abcdef0",
                &[("aws:ResourceTag/towerforge:forge-id", "Cafe1")],
            ),
            true,
        ),
        ("ServiceRole", of("iam:CreateRole", "arn:aws:iam::ACCOUNT:role/x"), false),
        ("ServiceRole", of("s3:GetObject", "arn:aws:s3:::lab-data/work/a"), false),
        ("ServiceRole", of("kms:CreateGrant", "arn:aws:kms:eu-west-1:ACCOUNT:key/1"), false),
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
        [of("batch:SubmitJob", "arn:aws:batch:eu-west-1:ACCOUNT:job-queue/TowerForge-Cafe1-work")];
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
