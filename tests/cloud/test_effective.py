"""The rights of a role: its policies and its boundary both have to allow an action."""

from __future__ import annotations

from typing import Any

from conftest import Account


def document(*actions: str, **condition: Any) -> dict[str, Any]:
    """A policy that allows actions on everything."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"} | condition
    return {"Version": "2012-10-17", "Statement": [statement]}


def may(account: Account, *actions: str, **context: str) -> list[tuple[bool, str]]:
    """The actions that the role is allowed, and the policies that do not allow the others."""
    asks = [{"action": action, "resource": "*", "context": context} for action in actions]
    return [(each["allowed"], each["by"]) for each in account.control("POST", "may", {"role": "role", "asks": asks})]


def test_a_boundary_takes_back_what_policies_give(account: Account) -> None:
    made = account.control("POST", "seed", {"policy": {"name": "boundary", "document": document("s3:*")}})
    inline = {"all": document("s3:GetObject", "iam:*")}
    account.control("POST", "seed", {"role": {"name": "role", "inline": inline, "boundary": made["policy"]["arn"]}})
    assert may(account, "s3:GetObject", "s3:PutObject", "iam:CreateUser") == [
        (True, "its policies"),
        (False, "its policies"),
        (False, "its permissions boundary"),
    ]


def test_managed_policies_and_conditions_count(account: Account) -> None:
    managed = ["arn:aws:iam::aws:policy/service-role/AWSBatchServiceRole"]
    condition = {"Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}}
    inline = {"pass": document("iam:PassRole", **condition)}
    account.control("POST", "seed", {"role": {"name": "role", "policies": managed, "inline": inline}})
    assert may(account, "ec2:RunInstances", "sts:AssumeRole") == [(True, "its policies"), (False, "its policies")]
    assert may(account, "iam:PassRole", **{"iam:PassedToService": "lambda.amazonaws.com"}) == [(False, "its policies")]
    assert may(account, "iam:PassRole", **{"iam:PassedToService": "ecs-tasks.amazonaws.com"}) == [(True, "its policies")]
