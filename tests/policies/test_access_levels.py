"""The actions with which permissions are managed, as policy_sentry classifies them: each stands here with its reason."""

import documents
import pytest
from policy_sentry.analysis.analyze import analyze_by_access_level

BOUNDED = "a role is made and changed only under the permissions boundary"
OWN = "a forge's own roles and profiles, by name"
TO_ITS_SERVICE = "one kind of role each, and only to the service that uses it"
TO_TASKS = "Nextflow writes roles into job definitions; only to ECS tasks"
OF_AWS = "a role of AWS's own, which nobody else can assume"
OF_EC2 = "EC2 attaches encrypted volumes with it; only for resources of AWS"

REASONS: dict[str, dict[str, str]] = {
    "forge-policy.json": {
        "iam:AddRoleToInstanceProfile": OWN,
        "iam:AttachRolePolicy": f"{BOUNDED}, and only policies that are named",
        "iam:CreateInstanceProfile": OWN,
        "iam:CreateRole": BOUNDED,
        "iam:CreateServiceLinkedRole": OF_AWS,
        "iam:DeleteInstanceProfile": OWN,
        "iam:DeleteRole": OWN,
        "iam:DeleteRolePolicy": OWN,
        "iam:DetachRolePolicy": OWN,
        "iam:PassRole": TO_ITS_SERVICE,
        "iam:PutRolePermissionsBoundary": f"{BOUNDED}: to another one that the deployer allows",
        "iam:PutRolePolicy": BOUNDED,
        "iam:RemoveRoleFromInstanceProfile": OWN,
        "iam:UpdateAssumeRolePolicy": f"{OWN}; IAM has no condition on the content, see SECURITY.md",
    },
    "boundary.json": {
        "iam:CreateServiceLinkedRole": f"{OF_AWS}; the service role alone",
        "iam:PassRole": "the forge's own roles, and those that the deployer allows",
        "kms:CreateGrant": OF_EC2,
    },
    "kms-policy.json": {"kms:CreateGrant": OF_EC2},
    "pass-role-policy.json": {"iam:PassRole": TO_TASKS},
    "launch-policy.json": {"iam:PassRole": TO_TASKS},
    "platform-launch-policy.json": {"iam:PassRole": TO_TASKS},
}


@pytest.mark.parametrize("name", [name for name in documents.names() if not name.startswith(("trust-", "scp-"))])
def test_permissions_are_managed_only_for_a_reason(name: str) -> None:
    document = documents.seen_by(documents.load(name))
    document["Statement"] = [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]
    assert analyze_by_access_level(document, "Write") or analyze_by_access_level(document, "Read"), "policy_sentry knows the actions"
    assert set(analyze_by_access_level(document, "Permissions management")) == set(REASONS.get(name, {}))
