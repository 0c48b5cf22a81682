"""Answers of AWS that the local AWS does not give, played to the checks from a tape."""

from __future__ import annotations

from typing import Any

import pytest
import run
from table import BY_NAME

ACCOUNT = "111122223333"


def recording(check: str, answers: list[tuple[str, str, dict[str, Any]]]) -> dict[str, Any]:
    """A recording in which AWS gives these answers; one with an `Error` is a refusal."""
    return {
        "check": check,
        "region": "eu-west-1",
        "service_token": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:TowerForge-handler",
        "run": "abcdef",
        "subnets": ["subnet-00000000000000001"],
        "groups": ["sg-00000000000000001"],
        "facts": {"left": []},
        "answers": [
            {"service": service, "operation": operation, "status": 403 if "Error" in answer else 200, "answer": answer}
            for service, operation, answer in answers
        ],
    }


def role(what: str) -> dict[str, Any]:
    """A role as IAM shows it."""
    return {"Role": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/tf-acceptance-abcdef-pass-role--{what}"}}


def test_a_role_that_is_passed_to_another_service_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    profile = {"InstanceProfile": {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/one"}}
    keys = {"Credentials": {"AccessKeyId": "A" * 20, "SecretAccessKey": "s", "SessionToken": "t"}}
    text = f"not authorized to perform: iam:PassRole on resource: {role('fleet')['Role']['Arn']}"
    refused = {"Error": {"Code": "AccessDeniedException", "Message": text}}
    made = {"computeEnvironmentName": "one", "computeEnvironmentArn": "arn"}
    answers = [
        ("iam", "CreateRole", role("service")), ("iam", "AttachRolePolicy", {}),
        ("iam", "CreateRole", role("fleet")), ("iam", "AttachRolePolicy", {}),
        ("iam", "CreateRole", role("instance")), ("iam", "AttachRolePolicy", {}),
        ("iam", "CreateInstanceProfile", profile), ("iam", "AddRoleToInstanceProfile", {}),
        ("iam", "GetRole", role("instance")),
        ("iam", "CreateRole", role("caller")), ("iam", "PutRolePolicy", {}),
        ("sts", "AssumeRole", keys), ("batch", "CreateComputeEnvironment", refused),
        ("sts", "AssumeRole", keys), ("batch", "CreateComputeEnvironment", made),
    ]  # fmt: skip
    facts, line = run.replayed(BY_NAME["pass-role"], recording("pass-role", answers))
    assert facts == {"accepted": True, "more_than_batch": ["fleet"], "texts": [text], "left": []}
    assert line.outcome == "different" and "need more than batch.amazonaws.com: fleet" in line.observed


def test_a_tape_that_does_not_fit_the_check_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    for answers, why in (
        ([], "the tape has ended"),
        ([("iam", "GetRole", role("x"))], "the tape has iam GetRole; .* is wanted"),
    ):
        with pytest.raises(LookupError, match=why):
            run.replayed(BY_NAME["pass-role"], recording("pass-role", answers))


def test_a_security_group_of_our_account_in_a_shared_vpc_is_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    group = {"OwnerId": ACCOUNT, "SecurityGroupArn": f"arn:aws:ec2:eu-west-1:{ACCOUNT}:security-group/sg-1"}
    answers = [
        ("sts", "GetCallerIdentity", {"Account": ACCOUNT}),
        ("ec2", "DescribeSubnets", {"Subnets": [{"VpcId": "vpc-1", "OwnerId": "444455556666"}]}),
        ("ec2", "DescribeSecurityGroups", {"SecurityGroups": [group]}),
    ]
    _, line = run.replayed(BY_NAME["shared-group"], recording("shared-group", answers))
    assert (line.outcome, line.observed) == ("different", "the ARN names us, OwnerId us")
