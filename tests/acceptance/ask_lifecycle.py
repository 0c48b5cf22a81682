"""Forges through their lives, each in a stack by itself."""

from __future__ import annotations

import json
from typing import Any

from account import Aws, Shape
from stack import FORGE, OUTPUTS, Stack, broken, forge


def _begun(aws: Aws, **properties: Any) -> tuple[Stack, Shape]:
    stack = Stack(aws)
    stack.create({FORGE: forge(aws, **properties)}, OUTPUTS)
    status = stack.settled()
    if status != "CREATE_COMPLETE":
        raise AssertionError(f"the first Create ended with {status}: {stack.why()}")
    return stack, _look(aws, stack)


def _look(aws: Aws, stack: Stack) -> Shape:
    """The forge as its stack and Batch show it."""
    outputs = stack.outputs()
    batch = aws.client("batch")
    queue = batch.describe_job_queues(jobQueues=[outputs["Queue"]])["jobQueues"][0]
    first = queue["computeEnvironmentOrder"][0]["computeEnvironment"]
    found = batch.describe_compute_environments(computeEnvironments=[first])["computeEnvironments"][0]
    return {
        "forge": outputs["Forge"],
        "queue": outputs["Queue"],
        "environment": first,
        "environment_output": outputs["Environment"],
        "status": found["status"],
        "max": found["computeResources"]["maxvCpus"],
    }


def _updated(aws: Aws, **properties: Any) -> Shape:
    stack, before = _begun(aws)
    stack.update({FORGE: forge(aws, **properties)}, OUTPUTS)
    facts = {"update": stack.settled(), "why": stack.why(), "before": before, "after": _look(aws, stack)}
    return facts | _deleted(stack)


def _rolled_back(aws: Aws, **properties: Any) -> Shape:
    stack, before = _begun(aws)
    stack.update({FORGE: forge(aws, **properties), "Broken": broken(aws)}, OUTPUTS)
    facts = {"update": stack.settled(), "why": stack.why(), "before": before, "after": _look(aws, stack)}
    return facts | _deleted(stack)


def _deleted(stack: Stack) -> Shape:
    stack.delete()
    return {"delete": stack.settled()}


def create_preview_delete(aws: Aws) -> Shape:
    """A Create, a preview of an Update, and a Delete."""
    stack, before = _begun(aws)
    planned = forge(aws, MaxCpus="4")["Properties"]
    old = forge(aws, MaxCpus="2")["Properties"]
    event = {
        "RequestType": "Update", "ServiceToken": aws.run.service_token, "StackId": stack.id, "RequestId": "preview",
        "ResponseURL": "https://cloudformation-custom-resource-response.s3.amazonaws.com/preview",
        "LogicalResourceId": FORGE, "PhysicalResourceId": before["forge"], "ResourceType": "Custom::TowerForge",
        "ResourceProperties": planned, "OldResourceProperties": old,
    }  # fmt: skip
    answer = aws.client("lambda").invoke(
        FunctionName=aws.run.service_token, Payload=json.dumps({"plan": event}).encode()
    )
    plan = json.loads(answer["Payload"].read())
    facts = {"before": before, "after": _look(aws, stack), "plan": _plan(plan)}
    return facts | _deleted(stack)


def _plan(plan: Shape) -> Shape:
    steps = plan.get("steps")
    if steps is None:
        return {"error": str(plan)[:300]}
    changes = [change for step in steps for change in step["changes"]]
    return {"operation": plan["operation"], "marks": [step["mark"] for step in steps], "changes": changes}


def update_in_place(aws: Aws) -> Shape:
    """Other vCPU limits."""
    return _updated(aws, MaxCpus=4)


def new_generation(aws: Aws) -> Shape:
    """An Update that an environment cannot follow in place."""
    return _updated(aws, ImageRefresh="acceptance")


def replacement(aws: Aws) -> Shape:
    """Another forge in the place of the first."""
    return _updated(aws, ForgeId=f"acc{aws.run.id}new")


def rollback(aws: Aws) -> Shape:
    """An Update in place that succeeded, undone because something else failed."""
    return _rolled_back(aws, MaxCpus=4)


def rollback_of_replacement(aws: Aws) -> Shape:
    """A replacement that succeeded, undone because something else failed."""
    return _rolled_back(aws, ForgeId=f"acc{aws.run.id}undo")


def failed_create(aws: Aws) -> Shape:
    """A Create that succeeded, undone because something else failed."""
    stack = Stack(aws)
    stack.create({FORGE: forge(aws), "Broken": broken(aws)}, OUTPUTS)
    facts = {"create": stack.settled(), "why": stack.why()}
    return facts | _deleted(stack)


def delete_during_create(aws: Aws) -> Shape:
    """A Delete that begins while the Create still runs."""
    stack = Stack(aws)
    stack.create({FORGE: forge(aws)}, OUTPUTS)

    def begun() -> bool:
        return stack.resource(FORGE).get("ResourceStatus") == "CREATE_IN_PROGRESS"

    aws.until("the Create", begun)
    # The function has created the first roles by then.
    aws.pause(10)
    during = stack.shown()["StackStatus"]
    return {"during": during} | _deleted(stack)


def kept_replacement_then_delete(aws: Aws) -> Shape:
    """A replacement, something else that fails, no rollback, and then the deletion of the stack."""
    stack, before = _begun(aws)
    wanted = {FORGE: forge(aws, ForgeId=f"acc{aws.run.id}kept"), "Broken": broken(aws)}
    stack.update(wanted, OUTPUTS, DisableRollback=True)
    facts = {"update": stack.settled(), "before": before["forge"], "after": stack.physical_id(FORGE)}
    return facts | _deleted(stack)
