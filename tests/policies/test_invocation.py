"""Who may invoke the function: by the policy of people who deploy stacks, and by the example of a service control policy."""

import sys
from pathlib import Path

import documents
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cloud"))

import policy  # noqa: E402

# An organization allows everything, and denies from there.
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
STATEMENTS = policy.read(EVERYTHING) + policy.read(documents.load("scp-example.json"))

ADMIN = {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/Admin"}
FUNCTION = {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/towerforge/tower-forge-TowerForgeFunctionRole-1A2B"}
THROUGH = {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
ROLE = "arn:aws:iam::123456789012:role/TowerForge-Cafe1-InstanceRole"
HANDLER = "arn:aws:lambda:eu-west-1:123456789012:function:TowerForge-handler"


@pytest.mark.parametrize(
    ("who", "action", "resource", "allowed"),
    [
        (ADMIN, "iam:PutRolePolicy", ROLE, False),
        (ADMIN, "iam:UpdateAssumeRolePolicy", ROLE, False),
        (ADMIN, "iam:DeleteRolePermissionsBoundary", ROLE, False),
        (FUNCTION, "iam:PutRolePolicy", ROLE, True),
        # Whoever has to stop a misuse may still take rights away.
        (ADMIN, "iam:DeleteRolePolicy", ROLE, True),
        (ADMIN, "iam:PutRolePolicy", "arn:aws:iam::123456789012:role/Billing", True),
        (ADMIN, "lambda:InvokeFunction", HANDLER, False),
        (ADMIN | THROUGH, "lambda:InvokeFunction", HANDLER, True),
        (ADMIN, "lambda:InvokeFunction", HANDLER.replace("handler", "dead-letter"), False),
        (FUNCTION, "lambda:InvokeFunction", HANDLER.replace("handler", "dead-letter"), True),
        (FUNCTION, "lambda:InvokeFunction", HANDLER, True),
        (ADMIN, "lambda:InvokeFunction", HANDLER.replace("TowerForge-handler", "billing"), True),
        (ADMIN, "lambda:UpdateFunctionCode", HANDLER, False),
        (ADMIN | THROUGH, "lambda:UpdateFunctionCode", HANDLER, True),
        (ADMIN, "lambda:UpdateFunctionConfiguration", HANDLER.replace("handler", "dead-letter"), False),
        (ADMIN, "lambda:PutFunctionConcurrency", HANDLER, True),
    ],
)
def test_only_whom_it_concerns_is_stopped(who: dict, action: str, resource: str, allowed: bool) -> None:
    assert policy.decide(STATEMENTS, action, resource, who).allowed == allowed


@pytest.mark.parametrize(
    ("context", "resource", "allowed"),
    [
        (THROUGH, HANDLER, True),
        ({"aws:CalledVia": ["cloudformation.amazonaws.com", "servicecatalog.amazonaws.com"]}, HANDLER, True),
        ({}, HANDLER, False),
        ({"aws:CalledVia": ["athena.amazonaws.com"]}, HANDLER, False),
        (THROUGH, HANDLER.replace("handler", "dead-letter"), False),
    ],
)
def test_who_deploys_stacks_invokes_through_cloudformation_alone(context: dict, resource: str, allowed: bool) -> None:
    statements = policy.read(documents.load("deploy-policy.json"))
    assert policy.decide(statements, "lambda:InvokeFunction", resource, context).allowed == allowed
