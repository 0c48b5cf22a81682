"""Jobs that run on an environment without running anything: Batch's calls for them, and a test's.

A test starts and ends jobs through the control API; their treatment by Batch follows from `batch_world`.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import batch_rules as rules
import batch_world
from batch_wire import cut, request_of, world_of
from batch_world import Job, Queue, Shape, World
from moto.batch.responses import BatchResponse


def start(account_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Starts a job on the first ENABLED and VALID environment of the queue `queue` (a name or an ARN).

    `vcpus` (1) raises the environment's desiredvCpus for as long as the job runs. A job for which there is
    no environment waits as RUNNABLE; `environment` in the answer is None then.
    """
    for world in batch_world.all_of(account_id):
        if queue := world.queue(body["queue"]):
            job = add_job(world, queue, float(body.get("vcpus", 1)), body.get("name", "job"))
            world.settle()
            return _described(world, job)
    raise LookupError(f"no queue {body['queue']}")


def end(account_id: str, job_id: str) -> dict[str, Any]:
    """Lets a job succeed; one that has ended already stays as it is."""
    for world in batch_world.all_of(account_id):
        if job := world.jobs.get(job_id):
            if job.running or job.status == "RUNNABLE":
                world.end_job(job, "SUCCEEDED", "Essential container in task exited")
            return _described(world, job)
    raise LookupError(f"no job {job_id}")


def described(world: World) -> list[dict[str, Any]]:
    """All jobs of a region, as the snapshot shows them."""
    return [_described(world, job) for job in world.jobs.values()]


def _described(world: World, job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "name": job.name,
        "region": world.region,
        "queue": job.queue.split("/")[-1],
        "environment": job.environment and job.environment.split("/")[-1],
        "vcpus": job.vcpus,
        "status": job.status,
        "reason": job.reason,
        "killed": job.killed,
    }


def submitjob(self: BatchResponse) -> str:
    """SubmitJob: the job waits as RUNNABLE until an environment of its queue takes it; nothing is run."""
    world, request = world_of(self), request_of(self)
    queue = world.queue(request.get("jobQueue"))
    if queue is None:
        rules.missing(world, "job-queue", request.get("jobQueue"))
    if queue.state != "ENABLED":
        rules.refuse(f"Job queue {queue.arn} is not in ENABLED state")  # unconfirmed
    _share(queue, request)
    needs = (request.get("containerOverrides") or {}).get("resourceRequirements", [])
    wanted = next((float(each["value"]) for each in needs if each["type"] == "VCPU"), 1)
    job = add_job(world, queue, wanted, request["jobName"])
    world.settle()
    return json.dumps({"jobId": job.id, "jobName": job.name, "jobArn": job.arn})


def _share(queue: Queue, request: Shape) -> None:
    """Batch: a queue with a fair-share policy takes only jobs with a share, and any other queue only jobs without."""
    share = request.get("shareIdentifier")
    if queue.scheduling_policy is None:
        if share is not None:
            rules.refuse("shareIdentifier can be specified only for a fair-share job queue.")  # unconfirmed
        return
    if share is None:
        rules.refuse("shareIdentifier must be specified.")  # boto/boto3 #3158, of a real account
    if not re.fullmatch(r"[A-Za-z0-9]{1,255}\*?", share):
        rules.refuse("shareIdentifier is limited to 255 alphanumeric characters.")  # unconfirmed
    # nextflow-io/nextflow #3505, of a real account; Nextflow has sent 0 ever since.
    if request.get("schedulingPriorityOverride") is None:
        rules.refuse("Either schedulingPriority in job definition or schedulingPriorityOverride should be specified.")


def add_job(world: World, queue: Queue, wanted: float, name: str) -> Job:
    """A new RUNNABLE job of a queue."""
    job_id = str(uuid.uuid4())
    job = Job(job_id, world.arn("job", job_id), name, queue.arn, wanted, created=world.clock.now())
    world.jobs[job_id] = job
    return job


def describejobs(self: BatchResponse) -> str:
    """DescribeJobs: the fields that show whether a job still runs."""
    world, request = world_of(self), request_of(self)
    jobs = [job for job in world.jobs.values() if {job.id, job.arn} & set(request.get("jobs", []))]
    return json.dumps({"jobs": [_show(world, job) | {"jobQueue": job.queue, "jobDefinition": ""} for job in jobs]})


def listjobs(self: BatchResponse) -> str:
    """ListJobs: one queue and one status a call; RUNNING where none is named."""
    world, request = world_of(self), request_of(self)
    queue = world.queue(request.get("jobQueue"))
    if queue is None:
        rules.missing(world, "job-queue", request.get("jobQueue"))
    status = request.get("jobStatus") or "RUNNING"
    jobs = [job for job in world.jobs.values() if job.queue == queue.arn and job.status == status]
    shown, token = cut([_show(world, job) for job in jobs], request)
    return json.dumps({"jobSummaryList": shown} | token)


def terminatejob(self: BatchResponse) -> str:
    """TerminateJob: ends a job whatever it is doing; a job that has ended stays as it is."""
    world, request = world_of(self), request_of(self)
    job = world.jobs.get(request.get("jobId", ""))
    if job and (job.running or job.status == "RUNNABLE"):
        world.end_job(job, "FAILED", request.get("reason", ""))
    return "{}"


def canceljob(self: BatchResponse) -> str:
    """CancelJob: ends a job that has not started; a running one goes on."""
    world, request = world_of(self), request_of(self)
    job = world.jobs.get(request.get("jobId", ""))
    if job and job.status == "RUNNABLE":
        world.end_job(job, "FAILED", request.get("reason", ""))
    return "{}"


def _show(world: World, job: Job) -> Shape:
    # Times are milliseconds since 1970; AWS seconds that have passed become real ones.
    def stamp(at: float) -> int:
        return int((time.time() - world.clock.real(world.clock.now() - at)) * 1000)

    shown: Shape = {"jobId": job.id, "jobArn": job.arn, "jobName": job.name, "status": job.status}
    shown |= {"createdAt": stamp(job.created), "statusReason": job.reason}
    if job.started is not None:
        shown["startedAt"] = stamp(job.started)
    if job.stopped is not None:
        shown["stoppedAt"] = stamp(job.stopped)
    return shown
