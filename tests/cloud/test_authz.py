"""The questions to IAM about each call, against the Service Authorization Reference, and its answers."""

from __future__ import annotations

import re
from typing import Any

import actions
import pytest
from accounts import Caller
from botocore.exceptions import ClientError
from conftest import TRUST, Account
from policy_sentry.querying.actions import get_action_data
from wire import Call

ID = "123456789012"
CALLER = Caller(ID, "eu-west-1", None, None)
BATCH, EC2 = f"arn:aws:batch:eu-west-1:{ID}", f"arn:aws:ec2:eu-west-1:{ID}"
IAM, EFS, FSX = f"arn:aws:iam::{ID}", f"arn:aws:elasticfilesystem:eu-west-1:{ID}", f"arn:aws:fsx:eu-west-1:{ID}"
LOGS = f"arn:aws:logs:eu-west-1:{ID}"
PAIRS = [{"Key": "k", "Value": "v"}]
VIA_SERVICE = {"aws:ViaAWSService": "true"}
TAGGED = {"aws:TagKeys": ["k"], "aws:RequestTag/k": "v"}
REGION = {"ec2:Region": "eu-west-1"}
BOUNDARY = f"{IAM}:policy/boundary"
MANAGED = "arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"

STATE = {
    "roles": [{"name": "role", "arn": f"{IAM}:role/role", "tags": {}, "boundary": BOUNDARY}],
    "instance_profiles": [{"name": "profile", "roles": ["role"], "tags": {}}],
    "launch_templates": [{"name": "template", "id": "lt-1", "region": "eu-west-1", "tags": {}}],
    "efs": [{"id": "fs-1", "mount_targets": [{"id": "fsmt-1"}], "tags": {}}],
}

Asked = tuple[str, str, dict[str, Any]]

CASES: list[tuple[str, str, dict[str, Any], list[Asked]]] = [
    (
        "batch",
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": "ce",
            "serviceRole": f"{IAM}:role/role",
            "computeResources": {"instanceRole": f"{IAM}:instance-profile/profile", "spotIamFleetRole": "fleet"},
            "tags": {"k": "v"},
        },
        [
            ("batch:CreateComputeEnvironment", f"{BATCH}:compute-environment/ce", TAGGED),
            ("batch:TagResource", f"{BATCH}:compute-environment/ce", TAGGED),
            ("iam:PassRole", f"{IAM}:role/role", {"iam:PassedToService": "batch.amazonaws.com"}),
            ("iam:PassRole", f"{IAM}:role/role", {"iam:PassedToService": "ec2.amazonaws.com"}),
            ("iam:PassRole", f"{IAM}:role/fleet", {"iam:PassedToService": "spotfleet.amazonaws.com"}),
        ],
    ),
    (
        "batch",
        "UpdateComputeEnvironment",
        {"computeEnvironment": "ce", "serviceRole": f"{IAM}:role/role"},
        [
            ("batch:UpdateComputeEnvironment", f"{BATCH}:compute-environment/ce", {}),
            ("iam:PassRole", f"{IAM}:role/role", {"iam:PassedToService": "batch.amazonaws.com"}),
        ],
    ),
    (
        "batch",
        "DeleteComputeEnvironment",
        {"computeEnvironment": f"{BATCH}:compute-environment/ce"},
        [("batch:DeleteComputeEnvironment", f"{BATCH}:compute-environment/ce", {})],
    ),
    (
        "batch",
        "CreateJobQueue",
        {
            "jobQueueName": "jq",
            "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}],
            "schedulingPolicyArn": f"{BATCH}:scheduling-policy/sp",
            "tags": {"k": "v"},
        },
        [
            ("batch:CreateJobQueue", f"{BATCH}:job-queue/jq", TAGGED),
            ("batch:CreateJobQueue", f"{BATCH}:compute-environment/ce", TAGGED),
            ("batch:CreateJobQueue", f"{BATCH}:scheduling-policy/sp", TAGGED),
            ("batch:TagResource", f"{BATCH}:job-queue/jq", TAGGED),
        ],
    ),
    (
        "batch",
        "UpdateJobQueue",
        {"jobQueue": "jq", "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "ce"}]},
        [
            ("batch:UpdateJobQueue", f"{BATCH}:job-queue/jq", {}),
            ("batch:UpdateJobQueue", f"{BATCH}:compute-environment/ce", {}),
        ],
    ),
    ("batch", "DescribeJobQueues", {"jobQueues": ["jq"]}, [("batch:DescribeJobQueues", "*", {})]),
    ("batch", "ListJobs", {"jobQueue": "jq"}, [("batch:ListJobs", "*", {})]),
    (
        "batch",
        "UntagResource",
        {"resourceArn": f"{BATCH}:job-queue/jq", "tagKeys": ["k"]},
        [("batch:UntagResource", f"{BATCH}:job-queue/jq", {"aws:TagKeys": ["k"]})],
    ),
    (
        "iam",
        "CreateRole",
        {"RoleName": "new", "Path": "/p/", "PermissionsBoundary": BOUNDARY, "Tags": PAIRS},
        [
            ("iam:CreateRole", f"{IAM}:role/p/new", TAGGED | {"iam:PermissionsBoundary": BOUNDARY}),
            ("iam:TagRole", f"{IAM}:role/p/new", TAGGED),
        ],
    ),
    (
        "iam",
        "AttachRolePolicy",
        {"RoleName": "role", "PolicyArn": MANAGED},
        [
            (
                "iam:AttachRolePolicy",
                f"{IAM}:role/role",
                {"iam:PolicyARN": MANAGED, "iam:PermissionsBoundary": BOUNDARY},
            )
        ],
    ),
    (
        "iam",
        "DeleteRolePolicy",
        {"RoleName": "role", "PolicyName": "p"},
        [("iam:DeleteRolePolicy", f"{IAM}:role/role", {"iam:PermissionsBoundary": BOUNDARY})],
    ),
    ("iam", "ListRoleTags", {"RoleName": "role"}, [("iam:ListRoleTags", f"{IAM}:role/role", {})]),
    ("iam", "DeleteRole", {"RoleName": "absent"}, [("iam:DeleteRole", f"{IAM}:role/absent", {})]),
    ("iam", "ListRoles", {}, [("iam:ListRoles", "*", {})]),
    (
        "iam",
        "CreateInstanceProfile",
        {"InstanceProfileName": "new", "Tags": PAIRS},
        [
            ("iam:CreateInstanceProfile", f"{IAM}:instance-profile/new", TAGGED),
            ("iam:TagInstanceProfile", f"{IAM}:instance-profile/new", TAGGED),
        ],
    ),
    (
        "iam",
        "AddRoleToInstanceProfile",
        {"InstanceProfileName": "profile", "RoleName": "role"},
        [
            ("iam:AddRoleToInstanceProfile", f"{IAM}:instance-profile/profile", {}),
            ("iam:PassRole", f"{IAM}:role/role", {"iam:PassedToService": "ec2.amazonaws.com"}),
        ],
    ),
    (
        "iam",
        "CreateServiceLinkedRole",
        {"AWSServiceName": "elasticfilesystem.amazonaws.com"},
        [
            (
                "iam:CreateServiceLinkedRole",
                f"{IAM}:role/aws-service-role/elasticfilesystem.amazonaws.com/*",
                {"iam:AWSServiceName": "elasticfilesystem.amazonaws.com"},
            )
        ],
    ),
    (
        "ec2",
        "CreateLaunchTemplate",
        {
            "LaunchTemplateName": "new",
            "LaunchTemplateData": {"ImageId": "resolve:ssm:/x", "TagSpecifications": [{"ResourceType": "instance"}]},
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": PAIRS}],
        },
        [
            ("ec2:CreateLaunchTemplate", f"{EC2}:launch-template/*", TAGGED | REGION),
            (
                "ec2:CreateTags",
                f"{EC2}:launch-template/*",
                TAGGED | REGION | {"ec2:CreateAction": "CreateLaunchTemplate"},
            ),
            ("ssm:GetParameters", "*", {}),
        ],
    ),
    (
        "ec2",
        "DeleteLaunchTemplate",
        {"LaunchTemplateName": "template"},
        [("ec2:DeleteLaunchTemplate", f"{EC2}:launch-template/lt-1", REGION)],
    ),
    (
        "ec2",
        "CreateTags",
        {"Resources": ["lt-1"], "Tags": PAIRS},
        [("ec2:CreateTags", f"{EC2}:launch-template/lt-1", TAGGED | REGION)],
    ),
    ("ec2", "DescribeSubnets", {}, [("ec2:DescribeSubnets", "*", REGION)]),
    (
        "efs",
        "CreateFileSystem",
        {"CreationToken": "t", "Encrypted": True, "Tags": PAIRS},
        [
            ("elasticfilesystem:CreateFileSystem", "*", TAGGED | {"elasticfilesystem:Encrypted": "true"}),
            (
                "elasticfilesystem:TagResource",
                f"{EFS}:file-system/*",
                TAGGED | {"elasticfilesystem:CreateAction": "CreateFileSystem"},
            ),
        ],
    ),
    (
        "efs",
        "DescribeFileSystems",
        {"CreationToken": "t"},
        [("elasticfilesystem:DescribeFileSystems", f"{EFS}:file-system/*", {})],
    ),
    (
        "efs",
        "DeleteMountTarget",
        {"MountTargetId": "fsmt-1"},
        [
            ("elasticfilesystem:DeleteMountTarget", f"{EFS}:file-system/fs-1", {}),
            ("ec2:DeleteNetworkInterface", f"{EC2}:network-interface/*", VIA_SERVICE),
        ],
    ),
    (
        "efs",
        "DescribeMountTargetSecurityGroups",
        {"MountTargetId": "fsmt-1"},
        [
            ("elasticfilesystem:DescribeMountTargetSecurityGroups", f"{EFS}:file-system/fs-1", {}),
            ("ec2:DescribeNetworkInterfaceAttribute", "*", VIA_SERVICE),
        ],
    ),
    (
        "efs",
        "TagResource",
        {"ResourceId": "fs-1", "Tags": PAIRS},
        [("elasticfilesystem:TagResource", f"{EFS}:file-system/fs-1", TAGGED)],
    ),
    (
        "fsx",
        "CreateFileSystem",
        {"FileSystemType": "LUSTRE", "Tags": PAIRS},
        [
            ("fsx:CreateFileSystem", f"{FSX}:file-system/*", TAGGED),
            ("fsx:TagResource", f"{FSX}:file-system/*", TAGGED),
            ("ec2:GetSecurityGroupsForVpc", f"{EC2}:vpc/*", {}),
            (
                "iam:CreateServiceLinkedRole",
                f"{IAM}:role/aws-service-role/fsx.amazonaws.com/*",
                {"iam:AWSServiceName": "fsx.amazonaws.com"},
            ),
        ],
    ),
    (
        "fsx",
        "DeleteFileSystem",
        {"FileSystemId": "fs-2"},
        [("fsx:DeleteFileSystem", f"{FSX}:file-system/fs-2", {})],
    ),
    (
        "fsx",
        "DeleteFileSystem",
        {"FileSystemId": "fs-2", "LustreConfiguration": {"SkipFinalBackup": False, "FinalBackupTags": PAIRS}},
        [
            ("fsx:DeleteFileSystem", f"{FSX}:file-system/fs-2", {}),
            ("fsx:CreateBackup", f"{FSX}:backup/*", TAGGED),
            ("fsx:TagResource", f"{FSX}:backup/*", TAGGED),
        ],
    ),
    ("fsx", "DescribeFileSystems", {"FileSystemIds": ["fs-2"]}, [("fsx:DescribeFileSystems", "*", {})]),
    (
        "logs",
        "CreateLogGroup",
        {"logGroupName": "/g", "tags": {"k": "v"}},
        [
            ("logs:CreateLogGroup", f"{LOGS}:log-group:/g", TAGGED),
            ("logs:TagResource", f"{LOGS}:log-group:/g", TAGGED),
        ],
    ),
    (
        "logs",
        "PutRetentionPolicy",
        {"logGroupName": "/g", "retentionInDays": 30},
        [("logs:PutRetentionPolicy", f"{LOGS}:log-group:/g", {})],
    ),
    ("logs", "DescribeLogGroups", {"logGroupNamePrefix": "/g"}, [("logs:DescribeLogGroups", "*", {})]),
    (
        "cloudformation",
        "DescribeStackResource",
        {"StackName": f"arn:aws:cloudformation:eu-west-1:{ID}:stack/s/1", "LogicalResourceId": "Genomics"},
        [("cloudformation:DescribeStackResource", f"arn:aws:cloudformation:eu-west-1:{ID}:stack/s/1", {})],
    ),
    (
        "lambda",
        "Invoke",
        {"FunctionName": "tower-forge"},
        [("lambda:InvokeFunction", f"arn:aws:lambda:eu-west-1:{ID}:function:tower-forge", {})],
    ),
    (
        "ssm",
        "GetParameter",
        {"Name": "/aws/service/ecs/x"},
        [("ssm:GetParameter", "arn:aws:ssm:eu-west-1::parameter/aws/service/ecs/x", {})],
    ),
    ("sts", "GetCallerIdentity", {}, []),
    ("s3", "HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b", {})]),
]


def asked(service: str, operation: str, params: dict[str, Any]) -> list[actions.Ask]:
    return actions.asks(Call(service, operation, "", params), CALLER, lambda kind: STATE.get(kind, []))


@pytest.mark.parametrize(("service", "operation", "params", "expected"), CASES, ids=lambda each: str(each)[:30])
def test_what_a_call_asks(service: str, operation: str, params: dict[str, Any], expected: list[Asked]) -> None:
    assert [(ask.action, ask.resource, ask.context) for ask in asked(service, operation, params)] == expected


def reference(action: str) -> list[dict[str, Any]]:
    """The rows of an action in the Service Authorization Reference."""
    service, name = action.split(":")
    return get_action_data(service, name)[service]


@pytest.mark.parametrize(("service", "operation", "params", "_"), CASES, ids=lambda each: str(each)[:30])
def test_the_reference_knows_what_is_asked(service: str, operation: str, params: dict[str, Any], _: Any) -> None:
    every = asked(service, operation, params)
    for ask in every:
        rows = reference(ask.action)
        formats = {re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(row["resource_arn_format"])) for row in rows}
        assert any(re.fullmatch(form, ask.resource) for form in formats), f"{ask.action} on {ask.resource}: {formats}"
        keys = {re.sub(r"\$\{\w+\}", "k", key) for row in rows for key in row["condition_keys"]}
        keys |= set(VIA_SERVICE)  # which every action has
        assert set(ask.context) <= keys, f"{ask.action} has no {set(ask.context) - keys}"
    dependent = {each for row in reference(every[0].action) for each in row["dependent_actions"]} if every else set()
    if operation == "DeleteFileSystem" and "LustreConfiguration" not in params:
        dependent -= {"fsx:CreateBackup", "fsx:TagResource"}  # asked for only where there is a final backup
    assert dependent <= {ask.action for ask in every}


def test_a_call_that_names_nothing_is_judged_too() -> None:
    assert asked("batch", "DeleteJobQueue", {}) == [actions.Ask("batch:DeleteJobQueue")]
    assert asked("sqs", "ListQueues", {}) == [actions.Ask("sqs:ListQueues")]


def allow(action: str | list[str], resource: str = "*", **condition: Any) -> dict[str, Any]:
    return {"Sid": "Only", "Effect": "Allow", "Action": action, "Resource": resource} | (
        {"Condition": condition} if condition else {}
    )


def create_role(account: Account, **more: Any) -> str:
    """Creates a role, or says with which code it was refused."""
    try:
        account.client("iam").create_role(RoleName="TowerForge-1", AssumeRolePolicyDocument=TRUST, **more)
        return "created"
    except ClientError as refused:
        return refused.response["Error"]["Code"]


def test_without_a_policy_all_is_allowed_and_recorded(account: Account) -> None:
    assert create_role(account, Tags=PAIRS) == "created"
    role = f"arn:aws:iam::{account.id}:role/TowerForge-1"
    assert account.calls()[0]["authz"] == [
        {"action": "iam:CreateRole", "resource": role, "allowed": True, "why": "no policy is set"},
        {"action": "iam:TagRole", "resource": role, "allowed": True, "why": "no policy is set"},
    ]


def test_a_dependent_action_is_wanted_too(account: Account) -> None:
    account.allow(allow("iam:CreateRole", "arn:aws:iam::*:role/TowerForge-*"))
    assert create_role(account, Tags=PAIRS) == "AccessDenied"
    first, second = account.calls()[0]["authz"]
    assert (first["allowed"], first["why"]) == (True, "allowed by Only")
    assert (second["action"], second["allowed"]) == ("iam:TagRole", False)
    assert account.calls()[0]["message"].count("iam:TagRole on resource: ") == 1
    assert create_role(account) == "created"


def test_conditions_see_the_request(account: Account) -> None:
    boundary = f"arn:aws:iam::{account.id}:policy/boundary"
    account.allow(
        allow("iam:CreateRole", StringEquals={"iam:PermissionsBoundary": boundary}),
        # TagRole knows no boundary, also where it is CreateRole that asks for it.
        allow("iam:TagRole", **{"ForAllValues:StringLike": {"aws:TagKeys": ["towerforge:*"]}}),
    )
    tags = [{"Key": "towerforge:forge-id", "Value": "1"}]
    assert create_role(account, Tags=tags) == "AccessDenied"
    assert "iam:PermissionsBoundary" in account.calls()[0]["authz"][0]["hint"]
    assert create_role(account, Tags=PAIRS, PermissionsBoundary=boundary) == "AccessDenied"
    # The boundary need not exist for this judgement; whether IAM then wants it is not asked here.
    assert create_role(account, Tags=tags, PermissionsBoundary=boundary) != "AccessDenied"


def test_a_policy_is_lifted_and_a_wrong_one_refused(account: Account) -> None:
    account.allow(allow("s3:*"))
    assert create_role(account) == "AccessDenied"
    account.control("PUT", "policy", {"documents": None})
    assert create_role(account) == "created"
    with pytest.raises(Exception, match="unknown condition operator"):
        account.allow(allow("*", StringIs={"a": "b"}))


def test_tags_of_resources_are_seen_after_a_while(account: Account) -> None:
    # So slow a clock that the lag does not end while we look.
    account.control("PUT", "config", {"scale": 1000, "durations": {"tag_lag": 5}})
    ours = {"aws:ResourceTag/k": "v"}
    account.allow(allow(["ec2:CreateLaunchTemplate", "ec2:CreateTags"]),
                  allow("ec2:DeleteLaunchTemplate", StringEquals=ours))
    ec2 = account.client("ec2")

    def create(name: str, tags: list[dict[str, str]]) -> str:
        specification = [{"ResourceType": "launch-template", "Tags": tags}]
        return ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"KeyName": "k"}, TagSpecifications=specification
        )["LaunchTemplate"]["LaunchTemplateId"]

    mine, foreign = create("mine", PAIRS), create("foreign", [{"Key": "k", "Value": "other"}])
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.delete_launch_template(LaunchTemplateId=mine)
    account.control("PUT", "config", {"advance": 5})
    ec2.delete_launch_template(LaunchTemplateId=mine)
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        ec2.delete_launch_template(LaunchTemplateId=foreign)
