"""Each statement against the Service Authorization Reference, as policy_sentry ships it.

An action exists, and has a resource in its statement; a resource has an action; a condition key is known to each action
that it restricts, on the resources at hand. A wrong condition key would not be refused: the statement would never apply.
"""

import functools
import json
import re
from collections.abc import Iterator

import documents
import pytest
from intrinsics import Template
from policy_sentry.querying.actions import get_action_data, get_actions_for_service

# Keys that every request has, by "AWS global condition context keys" in the IAM User Guide. The tags of requests and
# resources are not among them: the reference names the actions that have those.
GLOBAL = {
    "aws:CalledVia", "aws:CurrentTime", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalTag/${TagKey}", "aws:RequestedRegion",
    "aws:ResourceAccount", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn", "aws:ViaAWSService",
}  # fmt: skip

Statement = dict


def policies(part: object, name: str) -> Iterator[tuple[str, Statement]]:
    """All statements in a part of a template or a document, each with a name."""
    if isinstance(part, dict):
        if isinstance(part.get("Statement"), list):
            for number, statement in enumerate(part["Statement"]):
                yield f"{name}: {statement.get('Sid', number)}", statement
        else:
            for key, item in part.items():
                yield from policies(item, f"{name}/{key}")
    elif isinstance(part, list):
        for item in part:
            yield from policies(item, name)


TEMPLATE = Template((documents.ROOT / "template.yaml").read_text(), AllowedPolicies="arn:aws:iam::aws:policy/X", AllowedRoles="*", AllowedBuckets="*")
STATEMENTS = dict(
    [
        *(each for name in documents.names() for each in policies(documents.load(name), name)),
        *policies({name: TEMPLATE.properties(name) for name in TEMPLATE.body["Resources"]}, "template.yaml"),
    ]
)


def faults(statement: Statement) -> list[str]:
    """The faults of a statement."""
    found, resources = [], documents.listed(statement.get("Resource", []))
    conditions = statement.get("Condition", {})
    keys = {key for operator, pairs in conditions.items() for key in pairs if not operator.endswith("IfExists")}
    # Conditions on keys that only some of the actions have, or only some of their resources.
    some = {key for operator, pairs in conditions.items() for key in pairs if operator.endswith("IfExists")}
    reached = set()
    patterns = documents.listed(statement["Action"] if "Action" in statement else statement["NotAction"])
    for pattern in patterns:
        expanded = list(named(pattern))
        if not expanded:
            found.append(f"{pattern} is no action")
        for action in expanded:
            rows = [row for row in reference(action) if not resources or any(fits(each, row) for each in resources)]
            if not rows and "*" not in pattern:
                found.append(f"{action} has none of the resources")
            reached.update(each for each in resources if any(fits(each, row) for row in rows))
            known = GLOBAL | {key for row in rows for key in row["condition_keys"]}
            some -= {key for key in some if any(fits_key(key, each) for each in known)}
            for key in keys:
                if not any(fits_key(key, each) for each in known) and "*" not in pattern:
                    found.append(f"{action} has no {key}")
    return [*found, *(f"no action has {each}" for each in [*resources, *some] if each not in reached)]


def named(pattern: str) -> Iterator[str]:
    """The actions of a pattern."""
    service, _, name = pattern.partition(":")
    if service == "*":
        return
    yield from (each for each in get_actions_for_service(service) if documents.matches(name, each.partition(":")[2]))


@functools.cache
def reference(action: str) -> list[dict]:
    """The rows of an action: a kind of resource, with the condition keys that there are."""
    service, _, name = action.partition(":")
    return get_action_data(service, name)[service]


def fits(resource: str, row: dict) -> bool:
    """Whether a resource, maybe with wildcards, can be of a row's kind. An action without kinds has `*` only."""
    kind = row["resource_arn_format"]
    return resource == "*" if kind == "*" else meet(resource, re.sub(r"\$\{\w+\}", "*", kind))


def fits_key(key: str, known: str) -> bool:
    """Whether a condition key is one of the reference, in which the names of tags are left open."""
    return documents.matches(re.sub(r"\$\{\w+\}", "*", known), key)


@functools.cache
def meet(one: str, other: str) -> bool:
    """Whether there is a text that both patterns match."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*" or other[0] == "*":
        star, rest = (one, other) if one[0] == "*" else (other, one)
        return meet(star[1:], rest) or meet(star, rest[1:])
    return (one[0] == other[0] or "?" in (one[0], other[0])) and meet(one[1:], other[1:])


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_is_as_the_reference_has_it(name: str) -> None:
    # The template's own resources are shown by their names in brackets.
    assert faults(json.loads(re.sub(r"<\w+(\.\w+)?>", "*", json.dumps(STATEMENTS[name])))) == []


QUEUE = "arn:aws:batch:eu-west-1:123456789012:job-queue/q"


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ({"Action": "batch:MakeJobQueue", "Resource": QUEUE}, "batch:MakeJobQueue is no action"),
        ({"Action": "batch:DescribeJobQueues", "Resource": QUEUE}, "batch:DescribeJobQueues has none of the resources"),
        ({"Action": "batch:DeleteJobQueue", "Resource": [QUEUE, "arn:aws:iam::123456789012:role/r"]}, "no action has arn:aws:iam::123456789012:role/r"),
        (
            {"Action": "batch:DeleteJobQueue", "Resource": QUEUE, "Condition": {"StringEquals": {"aws:RequestTag/k": "v"}}},
            "batch:DeleteJobQueue has no aws:RequestTag/k",
        ),
        (
            {"Action": "iam:CreateRole", "Resource": "arn:aws:iam::123456789012:role/r", "Condition": {"ArnLike": {"iam:PolicyARN": "*"}}},
            "iam:CreateRole has no iam:PolicyARN",
        ),
        (
            {"Action": ["ec2:RunInstances", "ec2:Describe*"], "Resource": "*", "Condition": {"StringLikeIfExists": {"ec2:Ovner": "amazon"}}},
            "no action has ec2:Ovner",
        ),
    ],
)
def test_a_fault_is_found(statement: Statement, fault: str) -> None:
    assert fault in faults(statement)
