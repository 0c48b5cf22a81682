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


def test_only_a_denial_is_stronger_than_the_policy_of_a_resource(account: Account) -> None:
    denying = {"Effect": "Deny", "NotAction": ["s3:*", "sqs:*"], "Resource": "*"}
    boundary = document("s3:*") | {"Statement": [*document("s3:*")["Statement"], denying]}
    made = account.control("POST", "seed", {"policy": {"name": "boundary", "document": boundary}})
    inline = {"none": document("s3:GetObject")}
    account.control("POST", "seed", {"role": {"name": "role", "inline": inline, "boundary": made["policy"]["arn"]}})
    asks = [{"action": action, "resource": "*", "granted": True} for action in ("s3:PutObject", "sqs:SendMessage", "sns:Publish")]
    answers = account.control("POST", "may", {"role": "role", "asks": asks})
    assert [(each["allowed"], each["by"]) for each in answers] == [
        (True, "the resource's policy"),
        (True, "the resource's policy"),
        (False, "its permissions boundary"),
    ]


def test_a_variable_stands_for_a_tag_of_the_role(account: Account) -> None:
    own = document("s3:GetObject")
    own["Statement"][0]["Resource"] = "arn:aws:s3:::${aws:PrincipalTag/lab:team}-data/*"
    account.control("POST", "seed", {"role": {"name": "role", "inline": {"own": own}, "tags": {"lab:team": "blue"}}})
    asks = [{"action": "s3:GetObject", "resource": f"arn:aws:s3:::{team}-data/a"} for team in ("blue", "red")]
    assert [each["allowed"] for each in account.control("POST", "may", {"role": "role", "asks": asks})] == [True, False]
