"""Stacks of a check: what they say, and CloudFormation's calls."""

from __future__ import annotations

import json
from typing import Any

from account import Aws, Shape
from botocore.exceptions import ClientError

FORGE = "Forge"
PROBE = "Probe"
OUTPUTS = {
    "Forge": {"Value": {"Ref": FORGE}},
    "Queue": {"Value": {"Fn::GetAtt": [FORGE, "ComputeQueueArn"]}},
    "Environment": {"Value": {"Fn::GetAtt": [FORGE, "ComputeComputeEnvironmentArn"]}},
}


def forge(aws: Aws, **properties: Any) -> Shape:
    """A small forge on EC2 that starts no instance."""
    given = {
        "ServiceToken": aws.run.service_token,
        "ServiceTimeout": 1800,
        "WorkDir": f"s3://{aws.name('work')}",
        "Type": "EC2",
        "MaxCpus": 2,
        "Tags": aws.tags,
    } | {"Subnets": aws.run.subnets}
    return {"Type": "Custom::TowerForge", "Properties": given | properties}


def broken(aws: Aws) -> Shape:
    """A resource that the function refuses, after the forge has succeeded: the stack has to roll back."""
    properties = {"ServiceToken": aws.run.service_token, "NoSuchProperty": "makes the stack fail"}
    return {"Type": "Custom::TowerForge", "DependsOn": [FORGE], "Properties": properties}


class Stack:
    """One stack of a check."""

    def __init__(self, aws: Aws, what: str = "stack") -> None:
        self.aws, self.name = aws, aws.name(what)
        self.calls = aws.client("cloudformation")
        self.id = self.name

    def create(self, resources: Shape, outputs: Shape | None = None, **more: Any) -> None:
        """Begins to create it."""
        self.id = self.calls.create_stack(
            StackName=self.name, TemplateBody=_template(resources, outputs), Tags=self.aws.tag_list, **more
        )["StackId"]

    def update(self, resources: Shape, outputs: Shape | None = None, **more: Any) -> None:
        """Begins to update it."""
        self.calls.update_stack(
            StackName=self.id, TemplateBody=_template(resources, outputs), Tags=self.aws.tag_list, **more
        )

    def definition(self, resources: Shape) -> Shape:
        """The stack with other resources, as a refactoring defines it."""
        return {"StackName": self.name, "TemplateBody": _template(resources, None)}

    def delete(self) -> None:
        """Begins to delete it."""
        self.calls.delete_stack(StackName=self.id)

    def shown(self) -> Shape:
        """The stack as DescribeStacks shows it."""
        return self.calls.describe_stacks(StackName=self.id)["Stacks"][0]

    def settled(self, minutes: float = 40) -> str:
        """The status in which it has settled."""

        def look() -> str | None:
            status = self.shown()["StackStatus"]
            return None if status.endswith("_IN_PROGRESS") else status

        return self.aws.until(f"stack {self.name}", look, minutes)

    def outputs(self) -> dict[str, str]:
        """Its outputs."""
        return {each["OutputKey"]: each["OutputValue"] for each in self.shown().get("Outputs", [])}

    def physical_id(self, logical: str) -> str:
        """The ID that CloudFormation shows for a resource."""
        return self.resource(logical).get("PhysicalResourceId", "")

    def resource(self, logical: str) -> Shape:
        """A resource as CloudFormation shows it; nothing if it has not begun."""
        try:
            found = self.calls.describe_stack_resources(StackName=self.id, LogicalResourceId=logical)["StackResources"]
        except ClientError:
            return {}
        return found[0] if found else {}

    def why(self) -> str:
        """The reason of the resource that failed first; empty if none did."""
        events = self.calls.describe_stack_events(StackName=self.id)["StackEvents"]
        failed = [each for each in events if each["ResourceStatus"].endswith("_FAILED")]
        return failed[-1].get("ResourceStatusReason", "") if failed else ""


def _template(resources: Shape, outputs: Shape | None) -> str:
    return json.dumps({"Resources": resources} | ({"Outputs": outputs} if outputs else {}))
