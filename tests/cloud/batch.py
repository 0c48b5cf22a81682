"""AWS Batch: its calls, answered from `batch_world` under the rules of `batch_rules`; here, environments and tags.

moto makes every environment VALID at once, ignores the fields of an update and deletes whatever it is told to,
so its environments, queues and jobs are replaced altogether; its wire layer, job definitions and scheduling
policies stay.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import batch_checks
import batch_queues as queues
import batch_rules as rules
import batch_world
import jobs
import partitions
from batch_wire import page, request_of, within_quota, world_of
from batch_world import HEALTHY_ENVIRONMENT, Environment, Shape, World
from moto.batch.responses import BatchResponse


def install() -> None:
    """Puts these calls in the place of moto's."""
    for handler in (
        createcomputeenvironment, describecomputeenvironments, updatecomputeenvironment, deletecomputeenvironment,
        queues.createjobqueue, queues.describejobqueues, queues.updatejobqueue, queues.deletejobqueue,
        jobs.submitjob, jobs.describejobs, jobs.listjobs, jobs.terminatejob, jobs.canceljob, tags,
    ):  # fmt: skip
        if handler is tags:
            handler.moto = BatchResponse.tags  # type: ignore[attr-defined]
        setattr(BatchResponse, handler.__name__, handler)


def reset(account_id: str) -> None:
    """Empties an account."""
    batch_world.forget(account_id)


def createcomputeenvironment(self: BatchResponse) -> str:
    """CreateComputeEnvironment: no idempotency token, the name is the only identity."""
    world, request = world_of(self), request_of(self)
    rules.new_environment(request)
    name = request["computeEnvironmentName"]
    if world.environment(name):
        rules.taken()
    within_quota(world, world.environments, "compute_environments")
    environment = new_environment(world, request)
    world.begin(environment, "CREATING", world.clock.duration("ce_create", name))
    world.remember(environment, None, "describe_lag")
    world.environments[environment.arn] = environment
    return json.dumps({"computeEnvironmentName": name, "computeEnvironmentArn": environment.arn})


def new_environment(world: World, request: Shape) -> Environment:
    """An environment as a request describes it, with the defaults of Batch."""
    name, resources = request["computeEnvironmentName"], dict(request.get("computeResources") or {})
    linked = f"arn:{partitions.of(world.region)}:iam::{world.account_id}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
    if resources and not resources["type"].startswith("FARGATE"):
        resources.setdefault("minvCpus", 0)
        resources.setdefault("allocationStrategy", "BEST_FIT")
        resources.setdefault("ec2Configuration", [{"imageType": "ECS_AL2023"}])
    return Environment(
        name=name,
        arn=world.arn("compute-environment", name),
        tags=rules.tags(request.get("tags")),
        kind=request.get("type", "MANAGED"),
        # Batch: without a service role it makes, and takes, its service-linked one.
        service_role=request.get("serviceRole") or linked,
        resources=resources,
        unmanaged_vcpus=request.get("unmanagedvCpus"),
    )


def describecomputeenvironments(self: BatchResponse) -> str:
    """DescribeComputeEnvironments: unknown names are left out without a word."""
    world, request = world_of(self), request_of(self)
    shown = [(each, show_environment(world, each)) for each in world.environments.values()]
    return page(world, request, "computeEnvironments", shown)


def show_environment(world: World, environment: Environment) -> Shape:
    """An environment as Describe shows it."""
    if environment.picture:
        return dict(environment.picture)
    resources = dict(environment.resources)
    if resources and not environment.fargate:
        resources["desiredvCpus"] = world.desired_vcpus(environment)
    shown: Shape = {
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": environment.arn,
        "ecsClusterArn": batch_checks.cluster_arn(world, environment),
        "type": environment.kind,
        "state": environment.state,
        "status": environment.status,
        "statusReason": environment.reason,
        "serviceRole": environment.service_role,
        "containerOrchestrationType": "ECS",
        "uuid": environment.uuid,
    }
    # A recorded answer of AWS (Cloud Custodian's test_batch_compute_update) has no `tags` where there are none.
    if environment.tags:
        shown["tags"] = dict(environment.tags)
    if resources:
        shown |= {"computeResources": resources, "updatePolicy": environment.update_policy}
    if environment.unmanaged_vcpus is not None:
        shown["unmanagedvCpus"] = environment.unmanaged_vcpus
    return shown


def updatecomputeenvironment(self: BatchResponse) -> str:
    """UpdateComputeEnvironment: a merge; also the documented way to repair an INVALID environment."""
    world, request = world_of(self), request_of(self)
    environment = world.environment(request.get("computeEnvironment"))
    if environment is None:
        rules.missing(world, "compute-environment", request.get("computeEnvironment"))
    rules.environment_update(world, environment, request)
    world.remember(environment, show_environment(world, environment), "update_lag")
    given = request.get("computeResources") or {}
    infrastructure = bool(set(given) - rules.SCALING)
    disabling = request.get("state") == "DISABLED" and environment.state == "ENABLED"
    same_role = request.get("serviceRole") in (None, environment.service_role)
    unexamined = same_role and environment.status == "INVALID" and not world.clock.revalidates
    environment.unexamined = environment.reason if unexamined else None
    environment.state = request.get("state") or environment.state
    environment.service_role = request.get("serviceRole") or environment.service_role
    environment.resources |= {key: value for key, value in given.items() if key != "updateToLatestImageVersion"}
    environment.update_policy |= request.get("updatePolicy") or {}
    environment.unmanaged_vcpus = request.get("unmanagedvCpus", environment.unmanaged_vcpus)
    kind = "ce_infrastructure" if infrastructure else "ce_disable" if disabling else "ce_update"
    world.begin(environment, "UPDATING", world.clock.duration(kind, environment.name))
    return json.dumps({"computeEnvironmentName": environment.name, "computeEnvironmentArn": environment.arn})


def deletecomputeenvironment(self: BatchResponse) -> str:
    """DeleteComputeEnvironment: only one that is DISABLED, settled and in no queue."""
    world, request = world_of(self), request_of(self)
    environment = world.environment(request.get("computeEnvironment"))
    if environment is None:
        rules.missing(world, "compute-environment", request.get("computeEnvironment"))
    if environment.status == "DELETING":
        return "{}"
    rules.deletable(environment)
    # Batch: the relationship is eventually consistent and may outlive the queue for a while.
    if world.attached(environment):
        rules.refuse("Cannot delete, found existing JobQueue relationship")
    # Batch: an environment with instances takes minutes, and its running jobs go with them.
    kind = "ce_delete_running" if world.desired_vcpus(environment) else "ce_delete"
    for job in world.jobs_on(environment):
        world.end_job(job, "FAILED", "Host EC2 terminated.", killed=True)
    world.remember(environment, show_environment(world, environment), "update_lag")
    world.begin(environment, "DELETING", world.clock.duration(kind, environment.name))
    return "{}"


def tags(self: BatchResponse) -> Any:
    """TagResource, UntagResource, ListTagsForResource; job definitions and policies keep moto's."""
    arn = unquote(self.path).split("/v1/tags/")[-1]
    found = re.fullmatch(r"arn:aws[a-z-]*:batch:[^:]+:\d+:(compute-environment|job-queue)/(.+)", arn)
    if found is None:
        return tags.moto(self)  # type: ignore[attr-defined]
    world = world_of(self)
    thing = world.environment(arn) if found[1] == "compute-environment" else world.queue(arn)
    if thing is None:
        rules.missing(world, found[1], arn)
    if self.method == "POST":
        thing.tags = rules.tags(request_of(self).get("tags"), thing.tags)
    elif self.method == "DELETE":
        for key in self.querystring.get("tagKeys", []):
            thing.tags.pop(key, None)
    else:
        return json.dumps({"tags": thing.tags})
    return "{}"


def valid(thing: Environment) -> None:
    """Makes an environment VALID without waiting: for seeded environments."""
    thing.status, thing.reason, thing.until = "VALID", HEALTHY_ENVIRONMENT, None
