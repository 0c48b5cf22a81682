"""CloudFormation's calls that change stacks, for templates that hold custom resources only."""

from __future__ import annotations

import json
import uuid
from typing import Any

import cloudformation
import settings
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult
from stacks import Shape, Stack

_stacks: dict[str, dict[str, Stack]] = {}
_refactors: dict[str, Shape] = {}


def install() -> None:
    """Puts these calls in the place of moto's."""
    for handler in (
        create_stack, update_stack, cancel_update_stack, continue_update_rollback, delete_stack,
        describe_stack_events, create_stack_refactor, describe_stack_refactor,
    ):  # fmt: skip
        setattr(CloudFormationResponse, handler.__name__, handler)


def reset(account_id: str) -> None:
    """Empties an account."""
    _stacks.pop(account_id, None)


def create_stack(self: CloudFormationResponse) -> ActionResult:
    """CreateStack: OnFailure and DisableRollback exclude each other."""
    name, template = self._get_param("StackName"), _template(self)
    on_failure, disabled = self._get_param("OnFailure"), self._get_bool_param("DisableRollback")
    if on_failure and disabled is not None:
        _refuse("You can specify either OnFailure or DisableRollback, but not both.")
    known = _stacks.setdefault(self.current_account, {})
    if any(each.name == name and each.status != "DELETE_COMPLETE" for each in known.values()):
        settings.error("cloudformation", "AlreadyExistsException", f"Stack [{name}] already exists")
    stack = Stack(self.current_account, self.region, name, template, self._get_param("Tags", []))
    known[stack.id] = stack
    cloudformation.put_stacks(self.current_account, stack.shown)
    stack.begin("CREATE_IN_PROGRESS", stack.create, disabled or on_failure == "DO_NOTHING")
    return ActionResult({"StackId": stack.id})


def update_stack(self: CloudFormationResponse) -> ActionResult:
    """UpdateStack: refused while something runs, after a rollback of the Create, and where nothing changes."""
    stack, template = _known(self), _template(self)
    settled = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "CREATE_FAILED", "UPDATE_FAILED")
    if stack.status not in settled:
        _refuse(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
    if template == stack.template and not stack.status.endswith("_FAILED"):
        _refuse("No updates are to be performed.")
    stack.begin("UPDATE_IN_PROGRESS", stack.update, template, bool(self._get_bool_param("DisableRollback")))
    return ActionResult({"StackId": stack.id})


def cancel_update_stack(self: CloudFormationResponse) -> ActionResult:
    """CancelUpdateStack: rolls back."""
    stack = _known(self)
    if stack.status != "UPDATE_IN_PROGRESS":
        _refuse("CancelUpdateStack cannot be called from current stack status")  # unconfirmed
    stack.begin("UPDATE_ROLLBACK_IN_PROGRESS", stack.roll_back)
    return EmptyResult()


def continue_update_rollback(self: CloudFormationResponse) -> ActionResult:
    """ContinueUpdateRollback: from UPDATE_ROLLBACK_FAILED only."""
    stack = _known(self)
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        _refuse(f"Stack:{stack.id} is in {stack.status} state and can not continue rollback.")  # unconfirmed
    stack.begin("UPDATE_ROLLBACK_IN_PROGRESS", stack.roll_back, self._get_param("ResourcesToSkip", []))
    return ActionResult({})


def delete_stack(self: CloudFormationResponse) -> ActionResult:
    """DeleteStack: of nothing is good; resources are retained only after a failure."""
    name, retain = self._get_param("StackName"), self._get_param("RetainResources", [])
    present = [each for each in _stacks.get(self.current_account, {}).values() if each.status != "DELETE_COMPLETE"]
    stack = next((each for each in present if name in (each.id, each.name)), None)
    if stack is None or stack.status == "DELETE_IN_PROGRESS":
        return EmptyResult()
    if stack.status.startswith("UPDATE_") and stack.status.endswith("_IN_PROGRESS"):
        _refuse(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")  # unconfirmed
    if retain and stack.status != "DELETE_FAILED":
        _refuse("RetainResources can be specified only for a stack in DELETE_FAILED state.")  # unconfirmed
    stack.begin("DELETE_IN_PROGRESS", stack.delete, retain)
    return EmptyResult()


def describe_stack_events(self: CloudFormationResponse) -> ActionResult:
    """DescribeStackEvents: the newest first."""
    return ActionResult({"StackEvents": _known(self).shown["events"][::-1]})


def create_stack_refactor(self: CloudFormationResponse) -> ActionResult:
    """CreateStackRefactor: validated afterwards. That custom resources are refused is unconfirmed."""
    refactor_id = str(uuid.uuid4())
    _refactors[refactor_id] = {
        "StackRefactorId": refactor_id,
        "Status": "CREATE_FAILED",
        "StatusReason": "Resource type Custom::Probe is not supported in stack refactoring.",
        "ExecutionStatus": "UNAVAILABLE",
    }
    return ActionResult({"StackRefactorId": refactor_id})


def describe_stack_refactor(self: CloudFormationResponse) -> ActionResult:
    """DescribeStackRefactor."""
    return ActionResult(_refactors[self._get_param("StackRefactorId")])


def _known(response: CloudFormationResponse) -> Stack:
    name = response._get_param("StackName")
    found = [each for each in _stacks.get(response.current_account, {}).values() if name in (each.id, each.name)]
    if not found:
        _refuse(f"Stack [{name}] does not exist")
    # A deleted stack is found by its ARN only.
    return next((each for each in found if name == each.id or each.status != "DELETE_COMPLETE"), found[0])


def _template(response: CloudFormationResponse) -> Shape:
    """The template, which may hold no more than is understood here."""
    template = json.loads(response._get_param("TemplateBody"))
    if unknown := set(template) - {"Resources", "Outputs"}:
        _refuse(f"local cloud: a template may not have {', '.join(sorted(unknown))} here")
    earlier: set[str] = set()
    for logical, resource in template["Resources"].items():
        if not resource["Type"].startswith("Custom::"):
            _refuse(f"local cloud: {resource['Type']} is no custom resource")
        if not set(_list(resource.get("DependsOn", []))) <= earlier:
            _refuse(f"local cloud: {logical} depends on a resource that is not before it")
        earlier.add(logical)
    for output in template.get("Outputs", {}).values():
        if "Value" not in output:
            _refuse("Template format error: Every Outputs member must contain a Value object")
        value = output["Value"]
        if not isinstance(value, dict) or (value.get("Ref") or value.get("Fn::GetAtt", [""])[0]) not in earlier:
            _refuse(f"local cloud: an output must be Ref or Fn::GetAtt of a resource, not {value}")
    return template


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _refuse(text: str) -> None:
    settings.error("cloudformation", "ValidationError", text)
