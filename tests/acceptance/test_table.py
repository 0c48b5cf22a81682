"""The table of checks, the judgements, the tape and the shapes, without any AWS."""

from __future__ import annotations

import os
import re
from pathlib import Path

import judge
import pytest
import shapes
import table
from account import Aws, Run
from stack import OUTPUTS
from table import CHECKS
from tape import Redactor

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "real-aws.md"


def test_the_document_lists_the_checks_as_the_code_does() -> None:
    """`UPDATE_EXPECT=1` rewrites the list."""
    text = DOCUMENT.read_text()
    found = re.findall(r"^\| `[a-z-]+` \| .*\|\n", text, re.MULTILINE)
    wanted = [f"| `{each.name}` | {each.asks} | {each.expected} | {each.otherwise} |\n" for each in CHECKS]
    if os.environ.get("UPDATE_EXPECT"):
        DOCUMENT.write_text(text.replace("".join(found), "".join(wanted)))
    else:
        assert found == wanted, "UPDATE_EXPECT=1 python -m pytest tests/acceptance/test_table.py rewrites the list"


def test_each_consequence_names_a_file() -> None:
    for each in CHECKS:
        path, _, consequence = each.otherwise.partition(": ")
        assert (ROOT / path).is_file() and consequence, each.name


def test_each_check_has_its_own_name_and_question() -> None:
    for member in ("name", "asks", "ask"):
        values = [getattr(each, member) for each in CHECKS]
        assert len(set(values)) == len(values)
    judged = {each.judge for each in CHECKS}
    public = {value for name, value in vars(judge).items() if callable(value) and name.islower() and name[0] != "_"}
    assert public == judged


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_names_are_within_the_limits_of_aws(check: table.Check) -> None:
    aws = Aws(Run("arn:aws:lambda:eu-west-1:111122223333:function:TowerForge-handler"), check.name)
    # A bucket's name, the shortest limit but one; a role's is 64.
    assert len(aws.name("work")) <= 63 and re.fullmatch(r"[a-z0-9-]+[a-z0-9]", aws.name("work"))
    assert len(aws.name("environment0")) <= 80


def test_outputs_name_what_the_judgements_need() -> None:
    assert set(OUTPUTS) == {"Forge", "Queue", "Environment"}


BEFORE = {"forge": "A", "queue": "q", "environment": "e", "environment_output": "e", "status": "VALID", "max": 2}
END = {"delete": "DELETE_COMPLETE", "left": []}
UPDATED = {"update": "UPDATE_COMPLETE", "why": "", "before": BEFORE} | END
ROLLED_BACK = UPDATED | {"update": "UPDATE_ROLLBACK_COMPLETE"}


@pytest.mark.parametrize(
    ("judged", "good", "bad"),
    [
        (judge.update_in_place, UPDATED | {"after": BEFORE | {"max": 4}}, {"after": BEFORE}),
        (judge.new_generation, UPDATED | {"after": BEFORE | {"environment": "f"}}, {"after": BEFORE}),
        (judge.replacement, UPDATED | {"after": BEFORE | {"forge": "B", "queue": "r"}}, {"left": ["role x"]}),
        (judge.rollback, ROLLED_BACK | {"after": BEFORE}, {"after": BEFORE | {"max": 4}}),
        (judge.rollback, ROLLED_BACK | {"after": BEFORE}, {"left": ["role x"]}),
        (judge.failed_create, {"create": "ROLLBACK_COMPLETE"} | END, {"create": "ROLLBACK_FAILED"}),
        (judge.delete_during_create, {"during": "CREATE_IN_PROGRESS"} | END, {"delete": "DELETE_FAILED"}),
        (judge.kept_replacement_then_delete, {"update": "UPDATE_FAILED", "before": "A", "after": "B"} | END,
         {"left": ["job queue A"]}),
        (judge.service_timeout, {"properties": {"ServiceTimeout": "300", "Number": "1", "Flag": "true"}, "members": []},
         {"properties": {"Number": "1", "Flag": "true"}}),
        (judge.signing_seconds, {"seconds": 1, "end": ""}, {"seconds": 0}),
        (judge.stack_refactoring, {"refused": "no"} | {}, None),
        (judge.clear_time_limits, {"refused": None, "limits": 0}, {"limits": 1}),
        (judge.clear_scheduling_policy, {"refused": {"code": "C", "text": "t"}, "kept": True}, {"refused": None}),
        (judge.pass_role, {"accepted": True, "more_than_batch": [], "texts": []}, {"more_than_batch": ["fleet"]}),
        (judge.shared_group, {"shared": True, "arn_is_ours": False, "owner_is_us": False}, {"arn_is_ours": True}),
        (judge.fargate_service_role,
         {"environment": {"status": "VALID", "reason": ""}, "job": "RUNNABLE", "reason": ""}, {"job": "SUCCEEDED"}),
        (judge.fsx_token, {"refused": {"code": "IncompatibleParameterError", "text": ""}}, {"refused": None}),
    ],
)  # fmt: skip
def test_a_judgement_tells_what_is_expected_from_what_is_not(judged, good, bad) -> None:  # type: ignore[no-untyped-def]
    assert judged(good)[0]
    if bad is not None:
        assert not judged(good | bad)[0]


def test_a_resource_that_moved_is_not_what_the_code_expects() -> None:
    good, told = judge.stack_refactoring({"asked": "", "moved_id": "first", "new_stack": True})
    assert not good and "the new StackId" in told


def test_private_things_are_replaced_alike_wherever_they_occur() -> None:
    redactor = Redactor()
    first = redactor.value(
        {
            "Arn": "arn:aws:batch:eu-west-1:123456789012:job-queue/one",
            "Url": "https://bucket.s3.amazonaws.com/arn%3Aaws%3Ax%3A123456789012%3Astack"
            "%7CForge%7C51af3dc0-da77-11e4-872e-1234567db123?X-Amz-Date=20261124T083000Z"
            "&X-Amz-Credential=AKIA%2F1&X-Amz-Signature=5ec2e7",
            "Subnet": "subnet-0123456789abcdef0",
            "Id": "51af3dc0-da77-11e4-872e-1234567db123",
            "SecretAccessKey": "hidden",
            "ResponseMetadata": {"RequestId": "51af3dc0-da77-11e4-872e-1234567db123"},
            "Text": "User: arn:aws:iam::123456789012:user/alice is not authorized",
            "Count": 123456789012,
        }
    )
    shown = str({key: value for key, value in first.items() if key != "Count"})
    for private in ("123456789012", "5ec2e7", "AKIA", "0123456789abcdef0", "51af3dc0", "hidden", "alice"):
        assert private not in shown
    assert "X-Amz-Date=20261124T083000Z" in first["Url"] and "ResponseMetadata" not in first
    assert first["Id"] in first["Url"]
    number = first["Arn"].split(":")[4]
    assert len(number) == 12 and number in first["Url"] and number in first["Text"]
    assert redactor.text("in subnet-0123456789abcdef0") == f"in {first['Subnet']}"
    assert redactor.text("in subnet-0123456789abcdef1") != f"in {first['Subnet']}"


def test_a_member_that_aws_does_not_give_is_found() -> None:
    def answer(**members: object) -> list[dict[str, object]]:
        return [{"service": "batch", "operation": "DescribeJobQueues", "status": 200, "answer": members}]

    real = answer(jobQueues=[{"priority": 1, "tags": {"a": "b"}}])
    assert shapes.invented(answer(jobQueues=[{"priority": 2, "tags": {"other": "c"}}]), real) == []
    assert shapes.invented(answer(jobQueues=[{"priority": "2", "uuid": "x"}]), real) == [
        "batch DescribeJobQueues: jobQueues[].priority (str)",
        "batch DescribeJobQueues: jobQueues[].uuid (str)",
    ]
