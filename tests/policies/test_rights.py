"""Effects of the documents: the function cannot reach beyond its forges; the boundary fits the roles and little else."""

import json

import documents
import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

MANAGED = json.loads(aws_managed_policies_data)
FORGE = documents.load("forge-policy.json")["Statement"]
LIMITS = documents.seen_by(documents.load("boundary.json"))["Statement"]
BOUNDARY = [statement for statement in LIMITS if statement["Effect"] == "Allow"]
ROLE = "arn:aws:iam::123456789012:role/TowerForge-2CeQImw0JjWrMM0tRDGRZ7-"

# The policies of each role that the function makes: AWS's own, and ours.
ROLES: dict[str, tuple[list[str], list[str]]] = {
    "ServiceRole": (["AWSBatchServiceRole"], ["kms-policy.json"]),
    "InstanceRole": (
        ["AmazonEC2ContainerServiceforEC2Role"],
        [
            "nextflow-policy.json",
            "s3-policy.json",
            "s3-read-policy.json",
            "pass-role-policy.json",
            "cloudwatch-agent-policy.json",
            "secrets-policy-instance-role.json",
        ],
    ),
    "ExecutionRole": (["AmazonECSTaskExecutionRolePolicy"], ["secrets-policy-execution-role.json"]),
    "FleetRole": (["AmazonEC2SpotFleetTaggingRole"], []),
    "FargateRole": (
        [],
        ["nextflow-policy.json", "s3-policy.json", "s3-read-policy.json", "pass-role-policy.json", "secrets-policy-instance-role.json"],
    ),
}

# The actions that AWS's policies allow and the boundary does not, and why nothing is missed.
WITHHELD = {
    ("InstanceRole", "ecs:CreateCluster"): "the agent joins the cluster that Batch has made",
    ("FleetRole", "elasticloadbalancing:RegisterInstancesWithLoadBalancer"): "a forge has no load balancer",
    ("FleetRole", "elasticloadbalancing:RegisterTargets"): "a forge has no load balancer",
}


def actions(statements: list[dict]) -> set[str]:
    """All actions of some statements."""
    return {action for statement in statements for action in documents.listed(statement["Action"])}


def within(action: str, resource: str, role: str, passed_to: str | None = None) -> bool:
    """Whether the boundary lets a role do a thing; a resource of * asks for some resource, not for all."""
    for statement in BOUNDARY:
        condition = statement.get("Condition", {})
        principals = documents.listed(condition.get("ArnLike", {}).get("aws:PrincipalArn", "*"))
        services = documents.listed(condition.get("StringEquals", {}).get("iam:PassedToService", passed_to or ""))
        if (
            any(documents.matches(pattern, action) for pattern in documents.listed(statement["Action"]))
            and any(resource == "*" or documents.matches(pattern, resource) for pattern in documents.listed(statement["Resource"]))
            and any(documents.matches(pattern, ROLE + role) for pattern in principals)
            and (passed_to is None or passed_to in services)
        ):
            return True
    return False


@pytest.mark.parametrize("role", ROLES)
def test_the_boundary_fits_our_documents(role: str) -> None:
    for name in ROLES[role][1]:
        for statement in documents.load(name)["Statement"]:
            passed_to = statement.get("Condition", {}).get("StringEquals", {}).get("iam:PassedToService")
            for action in documents.listed(statement["Action"]):
                for resource in documents.listed(statement["Resource"]):
                    assert within(action, resource, role, passed_to), f"{name}: {action} on {resource}"


@pytest.mark.parametrize("role", ROLES)
def test_the_boundary_fits_what_aws_grants_to_the_service(role: str) -> None:
    withheld = {
        (role, action)
        for name in ROLES[role][0]
        for action in actions(MANAGED[name]["Document"]["Statement"])
        if not within(action, "*", role)
    }
    assert withheld == {pair for pair in WITHHELD if pair[0] == role}


def test_the_roles_of_the_table_hold_every_document_of_the_function() -> None:
    ours = {name for _, names in ROLES.values() for name in names}
    others = {"forge-policy.json", "dead-letter-policy.json", "boundary.json", "s3-bucket-write.json"}
    others |= {"launch-policy.json", "platform-launch-policy.json", "scp-example.json", "deploy-policy.json"}
    assert ours == {name for name in documents.names() if not name.startswith("trust-")} - others - {"secrets-policy-account.json"}
    attached = next(statement for statement in FORGE if statement["Sid"] == "RoleAttach")["Condition"]["ArnLike"]["iam:PolicyARN"]
    assert {arn.rsplit("/", 1)[1] for arn in attached} == {name for names, _ in ROLES.values() for name in names}


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("InstanceRole", "iam:CreateRole", "*"),
        ("InstanceRole", "iam:PutRolePolicy", "*"),
        ("InstanceRole", "iam:PassRole", "arn:aws:iam::123456789012:role/Admin"),
        ("InstanceRole", "iam:CreateServiceLinkedRole", "*"),
        ("InstanceRole", "sts:AssumeRole", "*"),
        ("InstanceRole", "ec2:RunInstances", "*"),
        ("InstanceRole", "batch:UpdateJobQueue", "*"),
        ("InstanceRole", "batch:TagResource", "arn:aws:batch:eu-west-1:123456789012:job-queue/TowerForge-2CeQImw0JjWrMM0tRDGRZ7-work"),
        ("InstanceRole", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:database-AbCdEf"),
        ("InstanceRole", "ssm:GetParameter", "*"),
        ("InstanceRole", "lambda:InvokeFunction", "*"),
        ("InstanceRole", "dynamodb:UpdateItem", "*"),
        ("ExecutionRole", "ec2:RunInstances", "*"),
        ("ServiceRole", "iam:PassRole", "arn:aws:iam::123456789012:role/Admin"),
        ("ServiceRole", "iam:AttachRolePolicy", "*"),
        ("FleetRole", "iam:CreateServiceLinkedRole", "*"),
    ],
)
def test_no_role_gets_beyond_the_boundary(role: str, action: str, resource: str) -> None:
    """Whatever a stack puts into InstanceRoleStatements or InstanceRolePolicies."""
    assert not within(action, resource, role)


def test_the_boundary_forbids_every_service_that_it_does_not_allow() -> None:
    (others,) = [statement for statement in LIMITS if "NotAction" in statement]
    services = {action.split(":")[0] for action in actions(BOUNDARY)}
    assert others["Effect"] == "Deny" and others["Resource"] == "*" and "Condition" not in others
    assert others["NotAction"] == sorted(f"{service}:*" for service in services)


def test_identity_rights_of_the_boundary_are_few() -> None:
    identity = {action for action in actions(BOUNDARY) if action.split(":")[0] in ("iam", "sts", "organizations", "sso", "*")}
    assert identity == {"iam:PassRole", "iam:GetRole", "iam:GetInstanceProfile", "iam:CreateServiceLinkedRole"}


def test_the_function_writes_only_what_bears_its_prefix_or_its_tags() -> None:
    for statement in FORGE:
        reads = all(action.split(":")[1].startswith(("Describe", "List", "Get")) for action in documents.listed(statement["Action"]))
        resources = " ".join(documents.listed(statement["Resource"]))
        table = documents.SAMPLE["Table"]
        named = "TowerForge" in resources or resources.endswith(f":table/{table}") or "/tower-forge/" in resources or "aws-service-role" in resources
        tagged = "towerforge:forge-id" in str(statement.get("Condition")) or "CreateAction" in str(statement.get("Condition"))
        through = statement.get("Condition") == {"Bool": {"aws:ViaAWSService": "true"}}
        assert reads or named or tagged or through, statement["Sid"]


def test_the_function_makes_and_changes_roles_only_under_the_boundary() -> None:
    bounded = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"}
    for statement in FORGE:
        condition = statement.get("Condition", {}).get("StringEquals", {})
        for action in documents.listed(statement["Action"]):
            # Never on Detach and Delete: a role from before the boundary must go too.
            assert ("iam:PermissionsBoundary" in condition) == (action in bounded), action
    assert bounded < actions(FORGE)
    never = {"iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion", "iam:CreatePolicy", "iam:CreateUser", "sts:AssumeRole"}
    assert not never & actions(FORGE)


def test_roles_are_passed_one_kind_at_a_time() -> None:
    passed = [statement for statement in FORGE if "iam:PassRole" in documents.listed(statement["Action"])]
    kinds = {statement["Resource"].rsplit("-", 1)[1]: statement["Condition"]["StringEquals"]["iam:PassedToService"] for statement in passed}
    assert all(statement["Action"] == "iam:PassRole" for statement in passed)
    # Execution and job roles are passed by Nextflow, not by the function.
    assert set(kinds) == {"ServiceRole", "InstanceRole", "FleetRole"}
    assert "batch.amazonaws.com" in kinds["ServiceRole"] and "ec2.amazonaws.com" in kinds["InstanceRole"]
    assert "spotfleet.amazonaws.com" in kinds["FleetRole"]


def test_no_role_of_a_forge_can_tag_a_queue() -> None:
    """The tags of a queue decide whose it is."""
    for name in ("nextflow-policy.json", "launch-policy.json", "platform-launch-policy.json", "boundary.json"):
        for statement in documents.load(name)["Statement"]:
            if "batch:TagResource" in documents.listed(statement.get("Action", [])):
                assert not [arn for arn in documents.listed(statement["Resource"]) if ":job-queue/" in arn or arn == "*"]


def test_platform_may_launch_under_names_of_its_own() -> None:
    def statements(name: str) -> dict[str, dict]:
        return {statement["Sid"]: statement for statement in documents.load(name)["Statement"]}

    ours, theirs = statements("launch-policy.json"), statements("platform-launch-policy.json")
    assert {sid for sid in ours if ours[sid] != theirs[sid]} == {
        "SubmitToForges",
        "RegisterJobDefinitions",
        "TagJobs",
        "ReadInstances",
    }
    submit = theirs["SubmitToForges"]["Resource"]
    assert any(arn.endswith(":job-definition/*") for arn in submit) and not any(arn.endswith("job-queue/*") for arn in submit)
