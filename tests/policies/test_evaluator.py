"""A second opinion on the local cloud's evaluator: moto's own one, which somebody else wrote.

Moto's takes a statement whose condition is not met for a Deny, and variables for text; so it is asked about single
statements, with their conditions left out, whose variables are filled in. It can judge that much: whether actions
and resources match. Conditions have only our own tests, `tests/cloud/test_policy.py`, and parliament's knowledge of
which keys an action has.
"""

import json
import random
import sys
from pathlib import Path

import documents
from moto.iam.access_control import IAMPolicy, PermissionResult

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cloud"))

import policy  # noqa: E402

POLICIES = [name for name in documents.names() if not name.startswith(("trust-", "scp-"))]


def bare(name: str) -> list[dict]:
    """The statements of a document without their conditions."""
    statements = documents.seen_by(documents.load(name))["Statement"]
    return [{key: value for key, value in each.items() if key != "Condition"} for each in statements if each["Effect"] == "Allow"]


STATEMENTS = [(name, statement) for name in POLICIES for statement in bare(name)]


def examples(pattern: str) -> set[str]:
    """Texts that a pattern matches, and texts that it nearly does."""
    some = {pattern.replace("*", text) for text in ("", "x", "x-y", "2CeQImw0JjWrMM0tRDGRZ7-work")}
    near = {text + "x" for text in some} | {text[:-1] for text in some if len(text) > 1}
    return {text for text in some | near if text.count(":") >= 5 or ":" in text and not text.startswith("arn")}


def test_two_evaluators_agree() -> None:
    actions = sorted({example for _, statement in STATEMENTS for each in documents.listed(statement["Action"]) for example in examples(each)})
    resources = sorted({example for _, statement in STATEMENTS for each in documents.listed(statement["Resource"]) for example in examples(each)})
    compared, granted, differing = 0, 0, []
    for name, statement in STATEMENTS:
        document = {"Version": "2012-10-17", "Statement": [statement]}
        ours, theirs = policy.read(document), IAMPolicy(json.dumps(document))
        # Its own actions on its own resources and on any, and any action on its own resources; the same in every run.
        mine = sorted({example for each in documents.listed(statement["Action"]) for example in examples(each)})
        own = sorted({example for each in documents.listed(statement["Resource"]) for example in examples(each)}) or resources
        chance = random.Random(1)
        pairs = [(mine, own), (mine, resources), (actions, own)]
        for action, resource in [(chance.choice(left), chance.choice(right)) for left, right in pairs for _ in range(100)]:
            compared += 1
            decided = policy.decide(ours, action, resource, {}).allowed
            granted += decided
            if decided != (theirs.is_action_permitted(action, resource) == PermissionResult.PERMITTED):
                differing.append((name, statement["Sid"], action, resource, decided))
    print(f"\n{compared} questions to two evaluators, {granted} granted, {len(differing)} answered differently", end="")
    assert not differing, differing[:10]
    assert granted > 1_000 and compared - granted > 1_000
