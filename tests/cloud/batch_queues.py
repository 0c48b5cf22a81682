"""Batch's job queues: create, describe, update, delete."""

from __future__ import annotations

import json

import batch_rules as rules
from batch_wire import page, request_of, within_quota, world_of
from batch_world import Queue, Shape
from moto.batch.models import batch_backends
from moto.batch.responses import BatchResponse


def createjobqueue(self: BatchResponse) -> str:
    """CreateJobQueue: at most three VALID environments of one kind and architecture."""
    world, request = world_of(self), request_of(self)
    name = request.get("jobQueueName") or ""
    if not rules.NAME.fullmatch(name):
        rules.refuse("Job Queue name should match a valid pattern.")
    rules.state(request.get("state"))
    if world.queue(name):
        rules.taken()
    within_quota(world, world.queues, "job_queues")
    if request.get("priority") is None:
        rules.refuse("Priority is required.")  # unconfirmed
    policies = batch_backends[world.account_id][world.region]._scheduling_policies
    queue = Queue(
        name=name,
        arn=world.arn("job-queue", name),
        tags=rules.tags(request.get("tags")),
        state=request.get("state") or "ENABLED",
        priority=request["priority"],
        scheduling_policy=rules.scheduling_policy(world, policies, request.get("schedulingPolicyArn"), None),
        time_limits=rules.time_limits(request.get("jobStateTimeLimitActions")),
    )
    world.set_order(queue, rules.queue_order(world, request.get("computeEnvironmentOrder")))
    world.begin(queue, "CREATING", world.clock.duration("jq_create", name))
    world.remember(queue, None, "describe_lag")
    world.queues[queue.arn] = queue
    return json.dumps({"jobQueueName": name, "jobQueueArn": queue.arn})


def describejobqueues(self: BatchResponse) -> str:
    """DescribeJobQueues: unknown names are left out without a word."""
    world, request = world_of(self), request_of(self)
    return page(world, request, "jobQueues", [(each, show_queue(each)) for each in world.queues.values()])


def show_queue(queue: Queue) -> Shape:
    """A queue as Describe shows it."""
    if queue.picture:
        return dict(queue.picture)
    shown: Shape = {
        "jobQueueName": queue.name,
        "jobQueueArn": queue.arn,
        "state": queue.state,
        "status": queue.status,
        "statusReason": queue.reason,
        "priority": queue.priority,
        "computeEnvironmentOrder": [dict(each) for each in queue.order],
        "jobStateTimeLimitActions": [dict(each) for each in queue.time_limits],
    }
    if queue.tags:  # AWS's model knows no empty map of them
        shown["tags"] = dict(queue.tags)
    if queue.scheduling_policy:
        shown["schedulingPolicyArn"] = queue.scheduling_policy
    return shown


def updatejobqueue(self: BatchResponse) -> str:
    """UpdateJobQueue: by name or ARN; fields that are not sent stay."""
    world, request = world_of(self), request_of(self)
    queue = world.queue(request.get("jobQueue"))
    if queue is None:
        rules.missing(world, "job-queue", request.get("jobQueue"))
    if queue.busy:
        rules.refuse("Cannot update, resource is being modified.")
    rules.state(request.get("state"))
    policies = batch_backends[world.account_id][world.region]._scheduling_policies
    policy = rules.scheduling_policy(world, policies, request.get("schedulingPolicyArn"), queue)
    limits, order = request.get("jobStateTimeLimitActions"), request.get("computeEnvironmentOrder")
    limits = queue.time_limits if limits is None else rules.time_limits(limits)
    ordered = None if order is None else rules.queue_order(world, order)
    disabling = request.get("state") == "DISABLED" and queue.state == "ENABLED"
    world.remember(queue, show_queue(queue), "update_lag")
    if ordered is not None:
        world.set_order(queue, ordered)
    queue.scheduling_policy, queue.time_limits = policy, limits
    queue.state = request.get("state") or queue.state
    queue.priority = request.get("priority", queue.priority)
    kind = "jq_disable" if disabling else "jq_update"
    world.begin(queue, "UPDATING", world.clock.duration(kind, queue.name))
    return json.dumps({"jobQueueName": queue.name, "jobQueueArn": queue.arn})


def deletejobqueue(self: BatchResponse) -> str:
    """DeleteJobQueue: the environments need not be detached first; all jobs of the queue are terminated."""
    world, request = world_of(self), request_of(self)
    queue = world.queue(request.get("jobQueue"))
    if queue is None:
        rules.missing(world, "job-queue", request.get("jobQueue"))
    if queue.status == "DELETING":
        return "{}"
    rules.deletable(queue)
    seconds = world.clock.duration("jq_delete", queue.name)
    jobs = [job for job in world.jobs.values() if job.queue == queue.arn and (job.running or job.status == "RUNNABLE")]
    if jobs:
        seconds += world.clock.duration("job_terminate", queue.name)
    for job in jobs:
        world.end_job(job, "FAILED", "Job queue deleted.", killed=True)
    world.remember(queue, show_queue(queue), "update_lag")
    world.begin(queue, "DELETING", seconds)
    return "{}"
