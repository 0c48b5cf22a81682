"""Finds everything that runs have made, in the account itself, and removes it in the order that AWS wants.

Things are found by the beginning of their name or by the tag, never by a list of what was made: so a run that has been
killed is cleaned up by the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import probe
from account import PREFIX, TAG, Aws, Shape, TookTooLong
from botocore.exceptions import BotoCoreError, ClientError

BUSY = ("CREATING", "UPDATING", "DELETING", "DELETED")


@dataclass(frozen=True)
class Left:
    """Something that a run has left: its kind and name, and the next step to its end."""

    kind: str
    name: str
    step: Callable[[], Any]


def find(aws: Aws, value: str = "") -> list[Left]:
    """All that is left of one check of a run (`Aws.value`), or of all runs, in the order of deletion."""
    return [each for kind in KINDS for each in kind(aws, value)]


def clean(aws: Aws, value: str = "", minutes: float = 45) -> list[str]:
    """Removes it; what is still there at the end, and why."""
    left: list[str] = []

    def look() -> bool:
        left.clear()
        for kind in KINDS:
            try:
                found = list(kind(aws, value))
            except (ClientError, BotoCoreError) as error:
                left.append(f"perhaps more, because they cannot be listed: {error}")
                continue
            left.extend(f"{each.kind} {each.name}{_step(each)}" for each in found)
            # Later kinds may still be needed to delete this one.
            if found:
                return False
        return True

    aws.cleaning = True
    try:
        aws.until("what the run has made", look, minutes)
    except TookTooLong:
        pass
    aws.cleaning = False
    return left


def _step(thing: Left) -> str:
    """Takes the next step to the end of a thing; what went wrong."""
    try:
        thing.step()
    except (ClientError, BotoCoreError) as error:
        return f" ({error})"
    return ""


def _prefix(value: str) -> str:
    return f"{PREFIX}-{value}--" if value else f"{PREFIX}-"


def _named(name: str, value: str) -> bool:
    return name.startswith(_prefix(value))


def _tagged(tags: Any, value: str) -> bool:
    """Whether tags, a map or a list, hold ours; EC2, IAM and Batch each have a form of their own."""
    pairs = tags if isinstance(tags, dict) else {each["Key"]: each["Value"] for each in tags or []}
    return TAG in pairs and value in ("", pairs[TAG])


def _pages(client: Any, operation: str, member: str, **parameters: Any) -> Iterator[Shape]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page.get(member, [])


def _stacks(aws: Aws, value: str) -> Iterator[Left]:
    calls = aws.client("cloudformation")
    for each in _pages(calls, "describe_stacks", "Stacks"):
        if _named(each["StackName"], value):
            yield Left("stack", each["StackName"], lambda each=each: _end_stack(aws, each))


def _end_stack(aws: Aws, stack: Shape) -> None:
    # Nobody else answers the requests for probes.
    for url in _queue_urls(aws, ""):
        if stack["StackName"].split("--")[0] == url.rsplit("/", 1)[-1].split("--")[0]:
            while event := probe.receive(aws, url):
                probe.put(aws, event, event.get("PhysicalResourceId", "swept"))
    calls, retain = aws.client("cloudformation"), []
    if stack["StackStatus"] == "DELETE_IN_PROGRESS":
        return
    if stack["StackStatus"] == "DELETE_FAILED":
        found = calls.describe_stack_resources(StackName=stack["StackId"])["StackResources"]
        retain = [each["LogicalResourceId"] for each in found if each["ResourceStatus"] == "DELETE_FAILED"]
    # Refused while an update runs: then the next pass tries again.
    calls.delete_stack(StackName=stack["StackId"], **({"RetainResources": retain} if retain else {}))


def _jobs(aws: Aws, value: str) -> Iterator[Left]:
    batch = aws.client("batch")
    for each in _pages(batch, "describe_job_definitions", "jobDefinitions", status="ACTIVE"):
        if _named(each["jobDefinitionName"], value):
            arn = each["jobDefinitionArn"]
            yield Left("job definition", arn, lambda arn=arn: batch.deregister_job_definition(jobDefinition=arn))


def _queues(aws: Aws, value: str) -> Iterator[Left]:
    batch = aws.client("batch")
    for each in _pages(batch, "describe_job_queues", "jobQueues"):
        if each["status"] != "DELETED" and (_named(each["jobQueueName"], value) or _tagged(each.get("tags"), value)):
            yield Left("job queue", each["jobQueueName"], lambda each=each: _end_queue(batch, each))


def _end_queue(batch: Any, queue: Shape) -> None:
    if queue["status"] in BUSY:
        return
    if queue["state"] == "ENABLED":
        batch.update_job_queue(jobQueue=queue["jobQueueName"], state="DISABLED")
    else:
        batch.delete_job_queue(jobQueue=queue["jobQueueName"])


def _environments(aws: Aws, value: str) -> Iterator[Left]:
    batch = aws.client("batch")
    for each in _pages(batch, "describe_compute_environments", "computeEnvironments"):
        name = each["computeEnvironmentName"]
        if each["status"] != "DELETED" and (_named(name, value) or _tagged(each.get("tags"), value)):
            yield Left("compute environment", name, lambda each=each: _end_environment(batch, each))


def _end_environment(batch: Any, environment: Shape) -> None:
    name = environment["computeEnvironmentName"]
    if environment["status"] in BUSY:
        return
    if environment["state"] == "ENABLED":
        batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
    else:
        batch.delete_compute_environment(computeEnvironment=name)


def _policies(aws: Aws, value: str) -> Iterator[Left]:
    batch = aws.client("batch")
    for each in _pages(batch, "list_scheduling_policies", "schedulingPolicies"):
        if _named(each["arn"].rsplit("/", 1)[-1], value):
            arn = each["arn"]
            yield Left("scheduling policy", arn, lambda arn=arn: batch.delete_scheduling_policy(arn=arn))


def _file_systems(aws: Aws, value: str) -> Iterator[Left]:
    fsx = aws.client("fsx")
    for each in _pages(fsx, "describe_file_systems", "FileSystems"):
        if _tagged(each.get("Tags"), value):
            yield Left("FSx file system", each["FileSystemId"], lambda each=each: _end_file_system(fsx, each))


def _end_file_system(fsx: Any, system: Shape) -> None:
    if system["Lifecycle"] not in ("CREATING", "DELETING"):
        fsx.delete_file_system(FileSystemId=system["FileSystemId"])


def _templates(aws: Aws, value: str) -> Iterator[Left]:
    ec2 = aws.client("ec2")
    for each in _pages(ec2, "describe_launch_templates", "LaunchTemplates"):
        if _named(each["LaunchTemplateName"], value) or _tagged(each.get("Tags"), value):
            name = each["LaunchTemplateName"]
            yield Left("launch template", name, lambda name=name: ec2.delete_launch_template(LaunchTemplateName=name))


def _candidates(aws: Aws, name: str) -> bool:
    return name.startswith((PREFIX, f"{aws.run.name_prefix}-"))


def _profiles(aws: Aws, value: str) -> Iterator[Left]:
    iam = aws.client("iam")
    for each in _pages(iam, "list_instance_profiles", "InstanceProfiles"):
        name = each["InstanceProfileName"]
        if _candidates(aws, name) and (_named(name, value) or _tagged(_profile_tags(iam, name), value)):
            yield Left("instance profile", name, lambda each=each: _end_profile(iam, each))


def _profile_tags(iam: Any, name: str) -> Any:
    return _tags_of(lambda: iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"].get("Tags"))


def _tags_of(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except ClientError:  # gone by now
        return []


def _end_profile(iam: Any, profile: Shape) -> None:
    name = profile["InstanceProfileName"]
    for each in profile["Roles"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=each["RoleName"])
    iam.delete_instance_profile(InstanceProfileName=name)


def _roles(aws: Aws, value: str) -> Iterator[Left]:
    iam = aws.client("iam")
    for each in _pages(iam, "list_roles", "Roles"):
        name = each["RoleName"]
        tags = None
        if _candidates(aws, name) and not _named(name, value):
            tags = _tags_of(lambda name=name: iam.list_role_tags(RoleName=name)["Tags"])
        if _named(name, value) or _tagged(tags, value):
            yield Left("role", name, lambda name=name: _end_role(iam, name))


def _end_role(iam: Any, name: str) -> None:
    for each in list(_pages(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)):
        iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
    for each in list(_pages(iam, "list_role_policies", "PolicyNames", RoleName=name)):
        iam.delete_role_policy(RoleName=name, PolicyName=each)
    iam.delete_role(RoleName=name)


def _log_groups(aws: Aws, value: str) -> Iterator[Left]:
    logs = aws.client("logs")
    for each in _pages(logs, "describe_log_groups", "logGroups", logGroupNamePrefix="/tower-forge/"):
        name, arn = each["logGroupName"], each["arn"].removesuffix(":*")
        tags = _tags_of(lambda arn=arn: logs.list_tags_for_resource(resourceArn=arn)["tags"])
        if _tagged(tags, value):
            yield Left("log group", name, lambda name=name: logs.delete_log_group(logGroupName=name))


def _topics(aws: Aws, value: str) -> Iterator[Left]:
    sns = aws.client("sns")
    for each in _pages(sns, "list_topics", "Topics"):
        arn = each["TopicArn"]
        if _named(arn.rsplit(":", 1)[-1], value):
            yield Left("topic", arn.rsplit(":", 1)[-1], lambda arn=arn: _end_topic(sns, arn))


def _end_topic(sns: Any, arn: str) -> None:
    for each in list(_pages(sns, "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)):
        if each["SubscriptionArn"].startswith("arn:"):
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    sns.delete_topic(TopicArn=arn)


def _queue_urls(aws: Aws, value: str) -> Iterator[str]:
    yield from _pages(aws.client("sqs"), "list_queues", "QueueUrls", QueueNamePrefix=_prefix(value))


def _message_queues(aws: Aws, value: str) -> Iterator[Left]:
    sqs = aws.client("sqs")
    for url in _queue_urls(aws, value):
        yield Left("message queue", url.rsplit("/", 1)[-1], lambda url=url: sqs.delete_queue(QueueUrl=url))


KINDS = (
    _stacks, _queues, _environments, _jobs, _policies, _file_systems, _templates, _profiles, _roles, _log_groups,
    _topics, _message_queues,
)  # fmt: skip
