"""Questions about CloudFormation's requests, asked with a probe in the place of the function."""

from __future__ import annotations

import datetime
from typing import Any

from botocore.exceptions import ClientError

from account import Aws, Shape
from probe import Probe, url_facts
from stack import PROBE, Stack

LATER = "Later"


def _probed(aws: Aws) -> tuple[Stack, Probe]:
    """A stack with a probe that has been created as `first`."""
    probe, stack = Probe(aws), Stack(aws)
    stack.create(probe.resources(Value="1"))
    probe.answer(probe.request("Create"), "first")
    stack.settled()
    return stack, probe


def _deleted(stack: Stack, probe: Probe) -> list[str]:
    """Deletes a stack; the IDs that CloudFormation asked to delete."""
    stack.delete()
    return _rest(stack, probe)[1]


def _rest(stack: Stack, probe: Probe) -> tuple[str, list[str]]:
    """Answers all requests until the stack has settled: its status, and the IDs in the requests."""
    ids: list[str] = []

    def look() -> str | None:
        if event := probe.look():
            ids.append(event.get("PhysicalResourceId", "extra"))
            probe.answer(event, ids[-1])
        status = stack.shown()["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    return stack.aws.until(f"stack {stack.name}", look), ids


def response_url(aws: Aws) -> Shape:
    """The form of the URL for responses."""
    probe, stack = Probe(aws), Stack(aws)
    stack.create(probe.resources())
    event = probe.request("Create")
    facts = url_facts(event)
    probe.answer(event, "first")
    facts["create"] = stack.settled()
    _deleted(stack, probe)
    return facts


def service_timeout(aws: Aws) -> Shape:
    """The properties of a request."""
    probe, stack = Probe(aws), Stack(aws)
    stack.create(probe.resources(Number=1, Flag=True, Nothing=""))
    event = probe.request("Create")
    probe.answer(event, "first")
    stack.settled()
    _deleted(stack, probe)
    properties = {key: value for key, value in event["ResourceProperties"].items() if key != "ServiceToken"}
    return {"properties": properties, "members": sorted(event)}


def delete_after_kept_failure(aws: Aws) -> Shape:
    """A Create that failed and was kept, then a Delete."""
    probe, stack = Probe(aws), Stack(aws)
    stack.create(probe.resources(), OnFailure="DO_NOTHING")
    create = probe.request("Create")
    probe.answer(create, "failed-id", "FAILED")
    kept, shown = stack.settled(), stack.physical_id(PROBE)
    stack.delete()
    delete = probe.request("Delete")
    probe.answer(delete, delete["PhysicalResourceId"])
    return {
        "kept": kept,
        "shown": shown,
        "delete_id": delete["PhysicalResourceId"],
        "same_request": create["RequestId"] == delete["RequestId"],
        "delete": stack.settled(),
    }


def retry_after_kept_failure(aws: Aws) -> Shape:
    """A Create that failed and was kept, then an Update of the stack."""
    probe, stack = Probe(aws), Stack(aws)
    stack.create(probe.resources(Value="1"), DisableRollback=True)
    first = probe.request("Create")
    probe.answer(first, "failed-id", "FAILED")
    stack.settled()
    stack.update(probe.resources(Value="2"), DisableRollback=True)
    second = probe.request()
    probe.answer(second, second.get("PhysicalResourceId", "retried-id"))
    facts = {
        "second": second["RequestType"],
        "second_id": second.get("PhysicalResourceId", ""),
        "same_request": first["RequestId"] == second["RequestId"],
        "same_key": _key(first) == _key(second),
        "dates": [url_facts(each)["date"] for each in (first, second)],
    }
    # The signature depends on nothing else.
    facts["same_url"] = facts["same_key"] and len(set(facts["dates"])) == 1
    facts["update"], facts["also"] = _rest(stack, probe)
    _deleted(stack, probe)
    return facts


def _key(event: Shape) -> str:
    return event["ResponseURL"].split("?")[0]


def late_answer_of_create(aws: Aws) -> Shape:
    """A Delete during a Create, which is answered too late."""
    probe, stack = Probe(aws), Stack(aws)
    stack.create(probe.resources())
    create = probe.request("Create")
    stack.delete()
    delete = probe.request("Delete")
    put = probe.answer(create, "late-id")
    aws.pause(20)
    during = stack.shown()["StackStatus"]
    probe.answer(delete, delete["PhysicalResourceId"])
    end, later = _rest(stack, probe)
    return {
        "put": put,
        "delete_id": delete["PhysicalResourceId"],
        "during": during,
        "delete": end,
        "later_ids": later,
        "same_request": create["RequestId"] == delete["RequestId"],
    }


def late_answer_of_update(aws: Aws) -> Shape:
    """A cancelled Update that answers with another ID after its rollback has begun."""
    stack, probe = _probed(aws)
    stack.update(probe.resources(Value="2"))
    update = probe.request("Update")
    stack.calls.cancel_update_stack(StackName=stack.id)
    back = probe.request("Update")
    put = probe.answer(update, "late-id")
    aws.pause(20)
    during = stack.shown()["StackStatus"]
    probe.answer(back, back["PhysicalResourceId"])
    facts = {
        "put": put,
        "back_id": back["PhysicalResourceId"],
        "during": during,
    }
    facts["end"], facts["also"] = _rest(stack, probe)
    facts["shown"] = stack.physical_id(PROBE)
    return facts | {"deleted": _deleted(stack, probe)}


def _more(probe: Probe) -> list[str]:
    event = probe.look()
    return [event["PhysicalResourceId"]] if event else []


def signing_seconds(aws: Aws) -> Shape:
    """An Update that fails at once, and its rollback: the seconds in which they are signed."""
    stack, probe = _probed(aws)
    stack.update(probe.resources(Value="2"))
    update = probe.request("Update")
    probe.answer(update, "first", "FAILED")
    back = probe.request("Update")
    probe.answer(back, "first")
    facts = {"end": _rest(stack, probe)[0], "dates": [url_facts(each)["date"] for each in (update, back)]}
    first, second = (datetime.datetime.strptime(each, "%Y%m%dT%H%M%SZ") for each in facts["dates"])
    _deleted(stack, probe)
    return facts | {"seconds": int((second - first).total_seconds())}


def skipped_rollback(aws: Aws) -> Shape:
    """A rollback that fails, is continued with the resource skipped, and then another Update."""
    stack, probe = _probed(aws)
    stack.update(probe.resources(Value="2"))
    probe.answer(probe.request("Update"), "first", "FAILED")
    probe.answer(probe.request("Update"), "first", "FAILED")
    failed = stack.settled()
    stack.calls.continue_update_rollback(StackName=stack.id, ResourcesToSkip=[PROBE])
    skipped, shown = stack.settled(), stack.resource(PROBE)["ResourceStatus"]
    asked = _more(probe)
    stack.update(probe.resources(Value="3"))
    update = probe.request("Update")
    probe.answer(update, "first")
    facts = {
        "failed": failed,
        "skipped": skipped,
        "asked": asked,
        "resource": shown,
        "old_value": update["OldResourceProperties"].get("Value"),
        "end": _rest(stack, probe)[0],
    }
    _deleted(stack, probe)
    return facts


def kept_replacement(aws: Aws) -> Shape:
    """A replacement, another resource that fails, no rollback, then a Delete: the IDs that are deleted."""
    stack, probe = _probed(aws)
    wanted = probe.resources(Value="2") | {LATER: probe.resource() | {"DependsOn": [PROBE]}}
    stack.update(wanted, DisableRollback=True)
    probe.answer(probe.request("Update"), "second")
    probe.answer(probe.request("Create"), "later", "FAILED")
    facts = {"update": stack.settled(), "shown": stack.physical_id(PROBE)}
    return facts | {"deleted": sorted(_deleted(stack, probe)), "end": stack.settled()}


def stack_refactoring(aws: Aws) -> Shape:
    """A resource that moves to another stack."""
    stack, probe = _probed(aws)
    other = Stack(aws, "other")
    other.create({"Stays": probe.resource()})
    probe.answer(probe.request("Create"), "stays")
    other.settled()
    facts = _refactored(stack, other, probe)
    return facts | {"deleted": sorted([*_deleted(other, probe), *_deleted(stack, probe)])}


def _refactored(stack: Stack, other: Stack, probe: Probe) -> Shape:
    calls = stack.calls
    moved = {"Stays": probe.resource(), PROBE: probe.resource(Value="1")}
    stays: dict[str, Any] = {"Second": probe.resource(Value="9")}
    # A stack may not become empty, so a second resource is added first.
    stack.update(probe.resources(Value="1") | stays)
    probe.answer(probe.request("Create"), "second")
    stack.settled()
    definitions = [stack.definition(stays), other.definition(moved)]
    try:
        found = calls.create_stack_refactor(StackDefinitions=definitions)["StackRefactorId"]
    except ClientError as error:
        return {"refused": error.response["Error"]["Message"]}

    def look(member: str) -> Shape | None:
        shown = calls.describe_stack_refactor(StackRefactorId=found)
        return None if shown[member].endswith("_IN_PROGRESS") else shown

    shown = stack.aws.until("the refactoring", lambda: look("Status"))
    if shown["Status"] != "CREATE_COMPLETE":
        return {"refused": shown.get("StatusReason", shown["Status"])}
    calls.execute_stack_refactor(StackRefactorId=found)
    shown = stack.aws.until("the refactoring", lambda: look("ExecutionStatus"))
    if shown["ExecutionStatus"] != "EXECUTE_COMPLETE":
        return {"refused": shown.get("ExecutionStatusReason", shown["ExecutionStatus"])}
    asked = probe.look()
    other.update(moved | {PROBE: probe.resource(Value="2")})
    update = probe.request("Update")
    probe.answer(update, update["PhysicalResourceId"])
    _rest(other, probe)
    return {
        "asked": asked["RequestType"] if asked else "",
        "moved_id": update["PhysicalResourceId"],
        "new_stack": update["StackId"] == other.id,
    }
