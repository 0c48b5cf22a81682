"""CloudFormation, as far as a custom resource asks it: how its stack and its resource are doing.

A simulator outside plays CloudFormation and sets here the answers of DescribeStacks and DescribeStackResource; or
stacks run by themselves (`stacks`), and what they show is read here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import settings
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult

Shape = dict[str, Any]

# By account, then by the stack's ARN.
_stacks: dict[str, dict[str, Shape]] = {}


def install() -> None:
    """Puts these calls in the place of moto's."""
    for handler in (describe_stacks, describe_stack_resource, describe_stack_resources):
        setattr(CloudFormationResponse, handler.__name__, handler)


def reset(account_id: str) -> None:
    """Empties an account."""
    _stacks.pop(account_id, None)


def put_stacks(account_id: str, body: Shape | list[Shape]) -> None:
    """Says how a stack (or each of several) is doing: `stack_id`, `stack_status`, `resources` by logical id.

    A stack without `stack_status` is forgotten.
    """
    stacks = _stacks.setdefault(account_id, {})
    for each in body if isinstance(body, list) else [body]:
        if each.get("stack_status"):
            stacks[each["stack_id"]] = each
        else:
            stacks.pop(each["stack_id"], None)


def describe_stacks(self: CloudFormationResponse) -> ActionResult:
    """DescribeStacks: of one stack by name or ARN, or of all that are not deleted."""
    name = self._get_param("StackName")
    if name:
        stacks = [_stack(self, name, f"Stack with id {name} does not exist")]
    else:
        present = _stacks.get(self.current_account, {}).values()
        stacks = [each for each in present if each["stack_status"] != "DELETE_COMPLETE"]
    return ActionResult({"Stacks": [_shown(each) for each in stacks]})


def describe_stack_resource(self: CloudFormationResponse) -> ActionResult:
    """DescribeStackResource: an unknown resource is a ValidationError too."""
    name, logical_id = self._get_param("StackName"), self._get_param("LogicalResourceId")
    stack = _stack(self, name, f"Stack '{name}' does not exist")
    if logical_id not in stack.get("resources", {}):
        text = f"Resource {logical_id} does not exist for stack {_name(stack)}"
        settings.error("cloudformation", "ValidationError", text)
    detail = _resource(stack, logical_id)
    detail["LastUpdatedTimestamp"] = detail.pop("Timestamp")
    return ActionResult({"StackResourceDetail": detail})


def describe_stack_resources(self: CloudFormationResponse) -> ActionResult:
    """DescribeStackResources: all of a stack's, or the one that is named."""
    name, logical_id = self._get_param("StackName"), self._get_param("LogicalResourceId")
    stack = _stack(self, name, f"Stack with id {name} does not exist")
    chosen = [each for each in stack.get("resources", {}) if logical_id in (None, each)]
    return ActionResult({"StackResources": [_resource(stack, each) for each in chosen]})


def _stack(response: CloudFormationResponse, name: str, missing: str) -> Shape:
    stacks = _stacks.get(response.current_account, {})
    # A deleted stack is found by its ARN only.
    named = [each for each in stacks.values() if _name(each) == name and each["stack_status"] != "DELETE_COMPLETE"]
    found = stacks.get(name) or next(iter(named), None)
    if found is None:
        settings.error("cloudformation", "ValidationError", missing)
    return found


def _name(stack: Shape) -> str:
    return stack["stack_id"].split("/")[1]


def _shown(stack: Shape) -> Shape:
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in stack.get("outputs", {}).items()]
    shown = {
        "StackId": stack["stack_id"],
        "StackName": _name(stack),
        "StackStatus": stack["stack_status"],
        "StackStatusReason": stack.get("reason"),
        "CreationTime": stack.get("created") or datetime.now(UTC),
        "Outputs": outputs,
        "Tags": {each["Key"]: each["Value"] for each in stack.get("tags", [])},
    }
    return {key: value for key, value in shown.items() if value or key == "Tags"}


def _resource(stack: Shape, logical_id: str) -> Shape:
    return {
        "StackId": stack["stack_id"],
        "StackName": _name(stack),
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": stack.get("physical_ids", {}).get(logical_id, ""),
        "ResourceType": stack.get("types", {}).get(logical_id, "Custom::TowerForge"),
        "ResourceStatus": stack["resources"][logical_id],
        "Timestamp": datetime.now(UTC),
    }
