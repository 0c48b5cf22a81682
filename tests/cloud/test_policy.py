"""IAM's policy language, case by case as IAM's documentation has it."""

from __future__ import annotations

from typing import Any

import policy
import pytest

ROLE = "arn:aws:iam::123456789012:role/TowerForge-a-ServiceRole"
ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def decide(*statements: dict[str, Any], action: str = "iam:GetRole", resource: str = ROLE,
           **context: Any) -> policy.Decision:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return policy.decide(policy.read(document), action, resource, {key.replace("__", ":"): value
                                                                   for key, value in context.items()})


def allowed(statement: dict[str, Any], action: str = "iam:GetRole", resource: str = ROLE, **context: Any) -> bool:
    return decide({"Effect": "Allow", "Action": "*", "Resource": "*"} | statement, action=action, resource=resource,
                  **context).allowed


def holds(operator: str, wanted: Any, actual: Any = None) -> bool:
    """Whether a condition on aws:k holds for a request that has this value for it, or none."""
    given = {} if actual is None else {"aws__k": actual}
    return allowed({"Condition": {operator: {"aws:K": wanted}}}, **given)


def test_nothing_is_allowed_by_itself() -> None:
    assert decide() == policy.Decision(False, "because no identity-based policy allows the iam:GetRole action")


def test_a_deny_wins() -> None:
    decision = decide(ANY, ANY | {"Sid": "Never", "Effect": "Deny", "Action": "iam:*"})
    assert decision == policy.Decision(False, "with an explicit deny in an identity-based policy", "denied by Never", explicit=True)
    assert decide(ANY | {"Sid": "All"}, ANY | {"Effect": "Deny", "Action": "ec2:*"}).why == "allowed by All"


def test_a_failed_condition_is_hinted_at() -> None:
    decision = decide(ANY | {"Sid": "Ours", "Condition": {"StringEquals": {"aws:k": "v"}}}, aws__k="w")
    assert not decision.allowed
    assert decision.hint == "Ours: StringEquals aws:k ['v'] is not met by ['w']"


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("iam:GetRole", True), ("IAM:getrole", True), ("iam:Get*", True), ("iam:GetRol?", True), ("*", True),
     ("iam:Get", False), ("iam:*Policy", False), (["s3:*", "iam:Get*"], True)],
)
def test_actions(pattern: Any, matches: bool) -> None:
    assert allowed({"Action": pattern}) is matches
    inverse = {"Effect": "Allow", "NotAction": pattern, "Resource": "*"}
    assert decide(inverse).allowed is not matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        (ROLE, True),
        ("*", True),
        ("arn:aws:iam::*:role/TowerForge-*", True),
        ("arn:aws:iam::*:role/TowerForge-*-ServiceRole", True),
        ("arn:aws:iam::123456789012:*", True),
        ("arn:*:iam::${aws:PrincipalAccount}:role/*", True),
        ("arn:aws:iam::*:role/towerforge-*", False),
        ("arn:aws:iam::*:role/TowerForge-?", False),
        ("arn:aws:iam::999999999999:role/*", False),
        # A wildcard does not reach over a colon.
        ("arn:aws:iam:*:role/TowerForge-*", False),
        ("arn:aws:iam::${aws:Missing}:role/*", False),
    ],
)
def test_resources(pattern: str, matches: bool) -> None:
    assert allowed({"Resource": pattern}, aws__PrincipalAccount="123456789012") is matches


def test_an_action_without_resource_types_needs_a_star() -> None:
    assert allowed({"Resource": "*"}, resource="*")
    assert not allowed({"Resource": "arn:aws:batch:*:*:*"}, resource="*")


def test_not_resource() -> None:
    inverse = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:iam::*:role/TowerForge-*"}
    assert not decide(inverse).allowed
    assert decide(inverse, resource="arn:aws:iam::123456789012:role/other").allowed


@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["a", "b"], "b", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "a*", "a*", True),
        ("StringEquals", "a", None, False),
        ("StringEqualsIfExists", "a", None, True),
        ("StringEqualsIfExists", "a", "b", False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", "a", None, True),
        ("StringLike", "Tower*-?", "TowerForge-1", True),
        ("StringLike", "Tower*", "tower", False),
        ("StringNotLike", "Tower*", "TowerForge", False),
        ("StringNotLike", "Tower*", "Other", True),
        ("ArnLike", "arn:aws:iam::*:policy/*", "arn:aws:iam::aws:policy/service-role/X", True),
        ("ArnEquals", "arn:aws:iam::*:policy/X", "arn:aws:iam::aws:policy/X", True),
        ("ArnLike", "arn:aws:iam:*:policy/X", "arn:aws:iam::aws:policy/X", False),
        ("ArnNotLike", "arn:aws:iam::aws:policy/*", "arn:aws:iam::1:policy/X", True),
        ("Bool", "true", "true", True),
        ("Bool", True, "false", False),
        ("Bool", "true", None, False),
        ("Null", "true", None, True),
        ("Null", "true", "a", False),
        ("Null", "false", "a", True),
        ("Null", False, None, False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", 10, "9.5", False),
        ("NumericNotEquals", "1", "2", True),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T00:00:00+00:00", True),
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
        ("ForAllValues:StringEquals", ["a"], None, True),
        ("ForAllValues:StringLike", "towerforge:*", ["towerforge:forge-id", "Name"], False),
        ("ForAnyValue:StringEquals", ["a", "b"], ["c", "b"], True),
        ("ForAnyValue:StringEquals", ["a"], None, False),
        ("ForAnyValue:StringNotEquals", ["a"], ["a", "b"], True),
        ("ForAllValues:StringNotLike", ["aws:*"], ["aws:x"], False),
    ],
)
def test_conditions(operator: str, wanted: Any, actual: Any, expected: bool) -> None:
    assert holds(operator, wanted, actual) is expected


def test_all_conditions_have_to_hold() -> None:
    both = {"Condition": {"StringEquals": {"aws:a": "1", "aws:b": "2"}, "Null": {"aws:c": "true"}}}
    assert allowed(both, aws__a="1", aws__b="2")
    assert not allowed(both, aws__a="1", aws__b="3")
    assert not allowed(both, aws__a="1", aws__b="2", aws__c="3")


def test_a_variable_is_literal() -> None:
    condition = {"Condition": {"StringLike": {"aws:a": "x-${aws:b}"}}}
    assert allowed(condition, aws__a="x-*", aws__b="*")
    assert not allowed(condition, aws__a="x-y", aws__b="*")
    assert allowed({"Condition": {"StringEquals": {"aws:a": "${aws:b, 'none'}"}}}, aws__a="none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"Effect": "Maybe", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "*"},
        {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"},
        ANY | {"Principal": "*"},
        ANY | {"Condition": {"StringEqual": {"a": "b"}}},
        ANY | {"Condition": {"ForSomeValues:StringEquals": {"a": "b"}}},
        ANY | {"Resource": {"Fn::Sub": "arn"}},
    ],
)
def test_what_is_not_understood_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        policy.read({"Version": "2012-10-17", "Statement": [wrong]})
