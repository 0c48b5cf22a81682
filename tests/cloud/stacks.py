"""Stacks that CloudFormation runs by itself: create, update, roll back, clean up, delete.

The rules are those of the simulator in `tests/it/cloudformation.rs`, for templates with custom resources only: events
with every scalar as a string, Delete after a failed Create, swapped properties in a rollback, Delete of the old ID
after a replacement. Resources are handled one after the other, in the order of the template.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import lambda_
import locks
import partitions
import response_urls
import settings
from moto.sns.models import sns_backends

Shape = dict[str, Any]

ATTEMPTS_OF_CLEAN_UP = 3


class Failed(Exception):
    """The resource's operation has failed, for this reason."""


class Superseded(Exception):
    """Another operation of the stack has begun."""


@dataclass
class Resource:
    """A custom resource as CloudFormation knows it."""

    kind: str
    properties: Shape
    physical_id: str | None = None
    status: str = ""
    request_id: str = ""
    data: Shape = field(default_factory=dict)
    before: Shape | None = None
    """The properties that a rollback restores."""
    replaced: list[tuple[str, Shape]] = field(default_factory=list)


class Stack:
    """One stack. `shown` is what the Describe calls read."""

    def __init__(self, account_id: str, region: str, name: str, template: Shape, tags: list[Shape]) -> None:
        self.account_id, self.region, self.name, self.template = account_id, region, name, template
        self.id = f"arn:{partitions.of(region)}:cloudformation:{region}:{account_id}:stack/{name}/{uuid.uuid4()}"
        self.resources: dict[str, Resource] = {}
        self.shown: Shape = {
            "stack_id": self.id, "stack_status": "REVIEW_IN_PROGRESS", "resources": {}, "physical_ids": {},
            "types": {}, "events": [], "outputs": {}, "tags": tags, "created": datetime.now(UTC),
        }  # fmt: skip
        self._touched: list[str] = []
        self._created: list[str] = []
        self._number, self._signed = 0, 0
        self._changed = threading.Condition()

    @property
    def status(self) -> str:
        """The stack's status."""
        return self.shown["stack_status"]

    def begin(self, status: str, operation: Callable[..., None], *arguments: Any) -> None:
        """Starts an operation, which ends the one before it."""
        with self._changed:
            self._number += 1
            number = self._number
            self._changed.notify_all()
        for logical, resource in self.resources.items():
            if resource.status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                verb = resource.status.split("_")[0]
                self._resource(logical, f"{verb}_FAILED", f"Resource {verb.lower().removesuffix('e')}ion cancelled")
        self._show(number, status)

        def run() -> None:
            try:
                operation(number, *arguments)
            except Superseded:
                pass

        threading.Thread(target=run, name=self.name, daemon=True).start()

    def create(self, number: int, keep_failed: bool) -> None:
        """Creates all resources; keeps or deletes them after a failure."""
        try:
            self._converge(number)
        except Failed as why:
            if keep_failed:
                self._show(number, "CREATE_FAILED", str(why))
                return
            self._show(number, "ROLLBACK_IN_PROGRESS", str(why))
            self._delete_all(number, list(self.resources), "ROLLBACK")
        else:
            self._show(number, "CREATE_COMPLETE")

    def update(self, number: int, template: Shape, keep_failed: bool) -> None:
        """Goes over to another template; rolls back or stays after a failure."""
        before, self.template = self.template, template
        self._touched, self._created = [], []
        try:
            self._converge(number)
        except Failed as why:
            if keep_failed:
                self._show(number, "UPDATE_FAILED", str(why))
                return
            self.template = before
            self._show(number, "UPDATE_ROLLBACK_IN_PROGRESS", str(why))
            self.roll_back(number)
            return
        self._clean_up(number, "UPDATE")

    def roll_back(self, number: int, skip: list[str] | None = None) -> None:
        """Brings back the properties from before the update, except of resources that are to be skipped."""
        for logical in reversed(self._touched):
            resource = self.resources[logical]
            if logical in (skip or []):
                # CloudFormation: a skipped resource counts as rolled back. Whether it then knows the properties from
                # before is one of the questions of `make acceptance`.
                resource.properties = resource.before or resource.properties
                self._resource(logical, "UPDATE_COMPLETE")
                continue
            try:
                self._update_one(number, logical, resource.before or resource.properties)
            except Failed as why:
                self._show(number, "UPDATE_ROLLBACK_FAILED", str(why))
                return
        self._clean_up(number, "UPDATE_ROLLBACK")

    def delete(self, number: int, retain: list[str]) -> None:
        """Deletes all resources but those to be retained."""
        self._delete_all(number, [each for each in self.resources if each not in retain], "DELETE")

    def _converge(self, number: int) -> None:
        for logical, wanted in self.template["Resources"].items():
            known, properties = self.resources.get(logical), stringified(wanted.get("Properties", {}))
            if known is None or known.status == "CREATE_FAILED":
                self._create_one(number, logical, wanted["Type"], properties)
            elif known.properties != properties:
                known.before = known.properties
                self._touched.append(logical)
                self._update_one(number, logical, properties)
        for name, output in self.template.get("Outputs", {}).items():
            self.shown["outputs"][name] = self._value(output["Value"])

    def _value(self, value: Any) -> str:
        if "Ref" in value:
            return self.resources[value["Ref"]].physical_id or ""
        logical, attribute = value["Fn::GetAtt"]
        if attribute not in self.resources[logical].data:
            raise Failed(f"Vendor response doesn't contain {attribute} attribute")
        return self.resources[logical].data[attribute]

    def _create_one(self, number: int, logical: str, kind: str, properties: Shape) -> None:
        resource = self.resources.setdefault(logical, Resource(kind, properties))
        resource.properties = properties
        # CloudFormation: a Create that is tried again after a kept failure has the same RequestId (aws-cdk #35957).
        resource.request_id = resource.request_id or str(uuid.uuid4())
        self._created.append(logical)
        self._resource(logical, "CREATE_IN_PROGRESS")
        answer = self._ask(number, logical, "Create", None, properties, request_id=resource.request_id)
        resource.physical_id = answer.get("PhysicalResourceId") or resource.physical_id
        self._settle(logical, "CREATE", answer)

    def _update_one(self, number: int, logical: str, properties: Shape) -> None:
        resource = self.resources[logical]
        old, resource.properties = resource.properties, properties
        self._resource(logical, "UPDATE_IN_PROGRESS")
        answer = self._ask(number, logical, "Update", resource.physical_id, properties, old)
        if answer["Status"] == "SUCCESS" and answer["PhysicalResourceId"] != resource.physical_id:
            resource.replaced.append((resource.physical_id or "", old))
            resource.physical_id = answer["PhysicalResourceId"]
        resource.replaced = [each for each in resource.replaced if each[0] != resource.physical_id]
        self._settle(logical, "UPDATE", answer)

    def _settle(self, logical: str, verb: str, answer: Shape) -> None:
        if answer["Status"] != "SUCCESS":
            reason = f"Received response status [FAILED] from custom resource. Message returned: {answer['Reason']}"
            self._resource(logical, f"{verb}_FAILED", reason)
            raise Failed(f"The following resource(s) failed to {verb.lower()}: [{logical}].")
        if verb != "DELETE":
            self.resources[logical].data = answer.get("Data") or {}
        self._resource(logical, f"{verb}_COMPLETE")

    def _delete_all(self, number: int, logicals: list[str], verb: str) -> None:
        try:
            for logical in reversed(logicals):
                resource = self.resources[logical]
                if resource.status != "DELETE_COMPLETE":
                    # CloudFormation: makes up an ID for a resource that has never answered.
                    resource.physical_id = resource.physical_id or self._made_up(logical)
                    self._resource(logical, "DELETE_IN_PROGRESS")
                    answer = self._ask(number, logical, "Delete", resource.physical_id, resource.properties)
                    self._settle(logical, "DELETE", answer)
        except Failed as why:
            self._show(number, f"{verb}_FAILED", str(why))
        else:
            self._show(number, f"{verb}_COMPLETE")

    def _made_up(self, logical: str) -> str:
        return f"{self.name}-{logical}-1ABCDEFGHIJKL"

    def _clean_up(self, number: int, verb: str) -> None:
        self._show(number, f"{verb}_COMPLETE_CLEANUP_IN_PROGRESS")
        for logical in [each for each in self.resources if each not in self.template["Resources"]]:
            resource = self.resources[logical]
            resource.replaced.append((resource.physical_id or self._made_up(logical), resource.properties))
        for logical, resource in list(self.resources.items()):
            for physical_id, properties in resource.replaced:
                for _ in range(ATTEMPTS_OF_CLEAN_UP):
                    if self._ask(number, logical, "Delete", physical_id, properties)["Status"] == "SUCCESS":
                        break
            resource.replaced = []
            if logical not in self.template["Resources"]:
                self._resource(logical, "DELETE_COMPLETE")
                del self.resources[logical]
        self._show(number, f"{verb}_COMPLETE")

    def _ask(
        self, number: int, logical: str, kind: str, physical_id: str | None, properties: Shape,
        old: Shape | None = None, request_id: str = "",
    ) -> Shape:  # fmt: skip
        event: Shape = {
            "RequestType": kind, "ServiceToken": properties["ServiceToken"], "ResponseURL": "", "StackId": self.id,
            "RequestId": request_id or str(uuid.uuid4()), "LogicalResourceId": logical,
            "ResourceType": self.resources[logical].kind, "ResourceProperties": properties,
        }  # fmt: skip
        event |= {"PhysicalResourceId": physical_id} if physical_id else {}
        event |= {"OldResourceProperties": old} if old is not None else {}
        answers: list[Shape] = []

        def heard(answer: Shape) -> None:
            with self._changed:
                answers.append(answer)
                self._changed.notify_all()

        # CloudFormation: no two operations of a resource begin in the same second; here they could.
        self._signed = max(int(time.time()), self._signed + 1)
        event["ResponseURL"] = response_urls.presign(event, self.region, self._signed, heard)
        self._deliver(event)
        seconds = float(properties.get("ServiceTimeout", 3600)) * settings.for_account(self.account_id).scale
        with self._changed:
            self._changed.wait_for(lambda: answers or self._number != number, timeout=seconds)
            if self._number != number:
                raise Superseded
        late = {"Status": "FAILED", "Reason": "CloudFormation did not receive a response from your Custom Resource."}
        return answers[0] if answers else late

    def _deliver(self, event: Shape) -> None:
        token = event["ServiceToken"]
        if token.split(":")[2] == "sns":
            with locks.of(self.account_id):
                sns_backends[self.account_id][self.region].publish(json.dumps(event), arn=token)
        else:
            threading.Thread(target=lambda_.run, args=(self.account_id, event), daemon=True).start()

    def _show(self, number: int, status: str, reason: str = "") -> None:
        with self._changed:
            if self._number != number:
                raise Superseded
            self.shown |= {"stack_status": status, "reason": reason}
            self._event(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)

    def _resource(self, logical: str, status: str, reason: str = "") -> None:
        resource = self.resources[logical]
        resource.status = status
        self.shown["resources"][logical] = status
        self.shown["types"][logical] = resource.kind
        self.shown["physical_ids"][logical] = resource.physical_id or ""
        self._event(logical, resource.physical_id or "", resource.kind, status, reason)

    def _event(self, logical: str, physical_id: str, kind: str, status: str, reason: str) -> None:
        event = {
            "StackId": self.id, "EventId": str(uuid.uuid4()), "StackName": self.name, "LogicalResourceId": logical,
            "PhysicalResourceId": physical_id, "ResourceType": kind, "Timestamp": datetime.now(UTC),
            "ResourceStatus": status,
        }  # fmt: skip
        self.shown["events"].append(event | ({"ResourceStatusReason": reason} if reason else {}))


def stringified(value: Any) -> Any:
    """Properties as they arrive at a custom resource: every scalar a string, and no nulls."""
    if isinstance(value, dict):
        return {key: stringified(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [stringified(each) for each in value if each is not None]
    return json.dumps(value) if isinstance(value, (bool, int, float)) else value
