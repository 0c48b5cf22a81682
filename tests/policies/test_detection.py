"""Each question in `docs/detection.sql` finds the misuse that it is for, and nothing of an ordinary day.

CloudTrail Lake speaks Trino's SQL; SQLite answers the same questions once the columns are read out of JSON.
"""

import json
import re
import sqlite3

import documents
import pytest

TEXT = (documents.ROOT / "docs/detection.sql").read_text()
QUESTIONS = dict(re.findall(r"-- name: ([a-z-]+)\n((?:.*\n)+?.*;)\n", TEXT))

FUNCTION = "arn:aws:iam::123456789012:role/towerforge/tower-forge-TowerForgeFunctionRole-1A2B"
FORGE = "arn:aws:iam::123456789012:role/TowerForge-Cafe1-InstanceRole"
ADA = "arn:aws:iam::123456789012:role/Ada"
ROLE = "TowerForge-Cafe1-InstanceRole"


def event(source: str, name: str, by: str, parameters: dict | None = None, **more: str) -> dict:
    """An event as CloudTrail records it; `by` is the ARN of a role, or a service."""
    service = {"type": "AWSService", "invokedBy": by}
    role = {"type": "AssumedRole", "arn": by, "sessionContext": {"sessionIssuer": {"arn": by}}}
    written = {key: value if isinstance(value, str) else json.dumps(value) for key, value in (parameters or {}).items()}
    who = role if by.startswith("arn:") else service
    return {"eventTime": "2026-11-29T12:00:00Z", "eventSource": f"{source}.amazonaws.com", "eventName": name, "userIdentity": who, "requestParameters": written} | more


def through(service: str, by: str, *call: object) -> dict:
    """A call that a service makes with the rights of a role."""
    made = event(*call[:2], by, *call[2:])  # type: ignore[arg-type]
    made["userIdentity"]["invokedBy"] = service
    return made


HANDLER = {"functionName": "arn:aws:lambda:eu-west-1:123456789012:function:TowerForge-handler"}
OPEN = json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "999999999999"}, "Action": "sts:AssumeRole"}]})
CLOSED = json.dumps({"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
TABLE = {"tableName": "tower-forge-ClaimTable-1A2B3C4D5E6F7"}
TEMPLATE = {"CreateLaunchTemplateRequest": {"LaunchTemplateName": "TowerForge-Cafe1-work-1a2b3c4d"}}

MISUSE = [
    ("invoked-by-others", event("lambda", "Invoke", ADA, HANDLER)),
    ("roles-changed-by-others", event("iam", "DeleteRolePermissionsBoundary", ADA, {"roleName": ROLE})),
    ("roles-changed-by-others", event("iam", "PutRolePolicy", ADA, {"roleName": ROLE, "policyName": "more"})),
    ("roles-opened", event("iam", "UpdateAssumeRolePolicy", FUNCTION, {"roleName": ROLE, "policyDocument": OPEN})),
    ("roles-opened", event("iam", "CreateRole", FUNCTION, {"roleName": ROLE, "assumeRolePolicyDocument": OPEN})),
    ("boundary-reached", event("ecs", "RegisterContainerInstance", FORGE, {"cluster": "prod"}, errorCode="AccessDeniedException")),
    ("boundary-reached", event("ec2", "RunInstances", FORGE, errorCode="Client.UnauthorizedOperation")),
    ("statements-to-review", event("iam", "PutRolePolicy", FUNCTION, {"roleName": ROLE, "policyName": "instance-role-statements"})),
    ("templates-of-others", event("ec2", "CreateLaunchTemplate", ADA, TEMPLATE)),
    ("claims-of-others", event("dynamodb", "PutItem", ADA, TABLE)),
]

ORDINARY = [
    through("cloudformation.amazonaws.com", ADA, "lambda", "Invoke", HANDLER),
    event("lambda", "Invoke", "events.amazonaws.com", HANDLER),
    event("lambda", "Invoke", FUNCTION, HANDLER),
    event("lambda", "Invoke", ADA, {"functionName": "billing"}),
    event("iam", "CreateRole", FUNCTION, {"roleName": ROLE, "assumeRolePolicyDocument": CLOSED}),
    event("iam", "PutRolePolicy", FUNCTION, {"roleName": ROLE, "policyName": "nextflow-policy"}),
    event("iam", "GetRole", ADA, {"roleName": ROLE}),
    event("iam", "PutRolePolicy", ADA, {"roleName": "Billing", "policyName": "all"}),
    event("batch", "SubmitJob", FORGE, {"jobQueue": "TowerForge-Cafe1-work"}),
    event("s3", "GetObject", ADA, errorCode="AccessDenied"),
    event("ec2", "CreateLaunchTemplate", FUNCTION, TEMPLATE),
    event("ec2", "CreateLaunchTemplate", ADA, {"CreateLaunchTemplateRequest": {"LaunchTemplateName": "web"}}),
    event("dynamodb", "UpdateItem", FUNCTION, TABLE),
    event("dynamodb", "PutItem", ADA, {"tableName": "orders"}),
]


def answers(question: str, events: list[dict]) -> int:
    """How many of the events a question finds."""
    sql = question.replace("$EVENT_DATA_STORE", "events")
    sql = re.sub(r"element_at\(requestParameters, '(\w+)'\)", r"json_extract(event, '$.requestParameters.\1')", sql)
    sql = re.sub(r"(?<![.\w'])((?:event|error)[A-Z]\w+|sourceIPAddress|userIdentity(?:\.\w+)+)", r"json_extract(event, '$.\1')", sql)
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE events (event TEXT)")
        database.executemany("INSERT INTO events VALUES (?)", [(json.dumps(each),) for each in events])
        return len(database.execute(sql).fetchall())


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_finds_what_it_is_for(name: str) -> None:
    found = [event for other, event in MISUSE if other == name]
    assert found and all(answers(QUESTIONS[name], [event]) == 1 for event in found)
    assert answers(QUESTIONS[name], ORDINARY) == 0


def test_every_misuse_has_its_question() -> None:
    assert {name for name, _ in MISUSE} == set(QUESTIONS) == set(re.findall(r"-- name: (.+)", TEXT))
