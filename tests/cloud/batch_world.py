"""The resources of AWS Batch in one account and region, and how they change with time.

Nothing runs in the background. Whatever is under way has an end, in AWS seconds, and `World.settle` plays
all the ends that have passed, in their order; every read and every write settles first. IAM settles before
it changes a role, so an environment that was gone by then is gone, whether anybody had looked or not.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass, field
from typing import Any

import batch_checks
import partitions
import settings

Shape = dict[str, Any]

# The names of the statuses that pass; everything else has settled.
BUSY = frozenset({"CREATING", "UPDATING", "DELETING"})
HEALTHY_ENVIRONMENT = "ComputeEnvironment Healthy"
HEALTHY_QUEUE = "JobQueue Healthy"


@dataclass
class Thing:
    """The common part of environments and queues: a wish (state), a fact (status), an end of its change."""

    name: str
    arn: str
    tags: dict[str, str]
    state: str = "ENABLED"
    status: str = "CREATING"
    reason: str = ""
    # When the present status ends; None where it has settled.
    until: float | None = None
    # Eventual consistency: until then Describe shows an older picture (None: nothing at all).
    stale_until: float = 0
    stale: Shape | None = None
    # Describe shows exactly this of a seeded thing of somebody else (`inhabited`).
    picture: Shape | None = None

    @property
    def busy(self) -> bool:
        """Whether a change is under way."""
        return self.status in BUSY


@dataclass
class Environment(Thing):
    """A compute environment."""

    kind: str = "MANAGED"
    service_role: str = ""
    resources: Shape = field(default_factory=dict)
    update_policy: Shape = field(
        default_factory=lambda: {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30}
    )
    unmanaged_vcpus: int | None = None
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    # Its permanent error (its cluster was deleted, its instances do not join), whoever repairs it.
    broken: str | None = None
    # Why it stays INVALID although it has been updated.
    unexamined: str | None = None
    # The queues that no longer name it, and until when Batch still believes that they do.
    released: dict[str, float] = field(default_factory=dict)

    @property
    def service_linked(self) -> bool:
        """Whether it runs under AWSServiceRoleForBatch instead of a role of its own."""
        return "/aws-service-role/batch.amazonaws.com/" in self.service_role

    @property
    def fargate(self) -> bool:
        """Whether its jobs run on Fargate."""
        return str(self.resources.get("type", "")).startswith("FARGATE")


@dataclass
class Queue(Thing):
    """A job queue."""

    priority: int = 0
    # computeEnvironmentOrder, the environments as ARNs, sorted.
    order: list[Shape] = field(default_factory=list)
    scheduling_policy: str | None = None
    time_limits: list[Shape] = field(default_factory=list)

    def environments(self) -> list[str]:
        """The ARNs of its environments, in order."""
        return [each["computeEnvironment"] for each in self.order]


@dataclass
class Job:
    """A job, as far as an environment's life is concerned."""

    id: str
    arn: str
    name: str
    queue: str
    vcpus: float
    created: float
    status: str = "RUNNABLE"
    environment: str | None = None
    started: float | None = None
    stopped: float | None = None
    reason: str = ""
    # Whether it was ended by the end of its environment or queue: no update may do that.
    killed: bool = False

    @property
    def running(self) -> bool:
        """Whether it occupies an environment."""
        return self.status in ("STARTING", "RUNNING")


class World:
    """Batch in one account and region."""

    def __init__(self, account_id: str, region: str) -> None:
        self.account_id = account_id
        self.region = region
        self.clock = settings.for_account(account_id)
        self.environments: dict[str, Environment] = {}
        self.queues: dict[str, Queue] = {}
        self.jobs: dict[str, Job] = {}

    def arn(self, kind: str, name: str) -> str:
        """The ARN of something of Batch's."""
        return f"arn:{partitions.of(self.region)}:batch:{self.region}:{self.account_id}:{kind}/{name}"

    def environment(self, name_or_arn: str | None) -> Environment | None:
        """The environment of a name or ARN, unless it is gone (DELETED is gone)."""
        return _find(self.environments, name_or_arn)

    def queue(self, name_or_arn: str | None) -> Queue | None:
        """The queue of a name or ARN, unless it is gone."""
        return _find(self.queues, name_or_arn)

    def begin(self, thing: Thing, status: str, duration: float) -> None:
        """Starts a change that takes so long."""
        thing.status, thing.reason = status, ""
        thing.until = self.clock.now() + duration

    def jobs_on(self, environment: Environment) -> list[Job]:
        """The jobs that occupy an environment."""
        return [job for job in self.jobs.values() if job.environment == environment.arn and job.running]

    def desired_vcpus(self, environment: Environment) -> int:
        """The vCPUs of the environment's instances: as many as its jobs need, minvCpus at least."""
        wanted = sum(job.vcpus for job in self.jobs_on(environment))
        return max(int(environment.resources.get("minvCpus", 0)), int(-(-wanted // 1)))

    def attached(self, environment: Environment) -> list[str]:
        """The queues that Batch believes to name an environment: the real ones, and those of a moment ago."""
        now = self.clock.now()
        named = [queue.arn for queue in self.queues.values() if environment.arn in queue.environments()]
        return named + [arn for arn, until in environment.released.items() if until > now and arn not in named]

    def set_order(self, queue: Queue, order: list[Shape]) -> None:
        """Changes a queue's environments; those that are left out stay associated for a while."""
        before, queue.order = queue.environments(), order
        for arn in set(before) - set(queue.environments()):
            self._release(arn, queue.arn, self.clock.now())
        for arn in queue.environments():
            if environment := self.environments.get(arn):
                environment.released.pop(queue.arn, None)

    def remember(self, thing: Thing, shown: Shape | None, lag: str) -> None:
        """Lets Describe go on showing the state before this change, for the duration `lag`."""
        if (seconds := self.clock.duration(lag, thing.name)) > 0:
            thing.stale, thing.stale_until = copy.deepcopy(shown), self.clock.now() + seconds

    def settle(self) -> None:
        """Plays everything that has ended by now, in the order in which it ended."""
        now = self.clock.now()
        while due := [each for each in self._things() if each.until is not None and each.until <= now]:
            thing = min(due, key=lambda each: each.until or 0)
            at, thing.until = thing.until or now, None
            if isinstance(thing, Environment):
                self._end_environment(thing, at)
            else:
                self._end_queue(thing, at)
        for environment in self.environments.values():
            # Batch: an environment whose service role has gone is INVALID, and stays so.
            if environment.status == "VALID" and (why := batch_checks.role_gone(self, environment)):
                environment.status, environment.reason = "INVALID", why
        self._place_jobs()

    def _things(self) -> list[Thing]:
        return [*self.environments.values(), *self.queues.values()]

    def _end_environment(self, environment: Environment, at: float) -> None:
        if environment.status == "DELETED":
            del self.environments[environment.arn]
        elif environment.status == "DELETING":
            # Batch deletes the cluster and the instances as the service role: without it, never.
            if why := batch_checks.service_role(self, environment, at):
                environment.status, environment.reason = "INVALID", why
                return
            self._gone(environment, at)
        else:
            why = environment.broken or environment.unexamined or batch_checks.environment(self, environment, at)
            environment.status = "INVALID" if why else "VALID"
            environment.reason = why or HEALTHY_ENVIRONMENT

    def _end_queue(self, queue: Queue, at: float) -> None:
        if queue.status == "DELETED":
            del self.queues[queue.arn]
        elif queue.status == "DELETING":
            for arn in queue.environments():
                self._release(arn, queue.arn, at)
            queue.order = []
            self._gone(queue, at)
        else:
            queue.status, queue.reason = "VALID", HEALTHY_QUEUE

    def _gone(self, thing: Thing, at: float) -> None:
        # For a moment Describe may still list it, as DELETED.
        thing.status, thing.reason = "DELETED", ""
        thing.until = at + self.clock.duration("deleted_visible", thing.name)

    def _release(self, environment_arn: str, queue_arn: str, at: float) -> None:
        if environment := self.environments.get(environment_arn):
            environment.released[queue_arn] = at + self.clock.duration("association_lag", environment.name)

    def _place_jobs(self) -> None:
        """The scheduler: a job goes to the first environment of its queue that takes any."""
        for job in self.jobs.values():
            if job.status != "RUNNABLE" or not (queue := self.queues.get(job.queue)):
                continue
            for arn in queue.environments():
                environment = self.environments.get(arn)
                # A DISABLED environment keeps its running jobs and gets nothing new; an INVALID or full one is skipped.
                takes = environment and environment.state == "ENABLED" and environment.status in ("VALID", "UPDATING")
                if takes and self._has_room(environment, job) and batch_checks.can_run_jobs(self, environment):
                    job.environment, job.status, job.started = arn, "RUNNING", self.clock.now()
                    break

    def _has_room(self, environment: Environment, job: Job) -> bool:
        held = sum(other.vcpus for other in self.jobs_on(environment))
        return held + job.vcpus <= environment.resources.get("maxvCpus", float("inf"))

    def end_job(self, job: Job, status: str, reason: str, killed: bool = False) -> None:
        """Ends a job."""
        job.status, job.reason, job.killed, job.stopped = status, reason, killed, self.clock.now()


def _find(things: dict[str, Any], name_or_arn: str | None) -> Any:
    for thing in things.values():
        if name_or_arn in (thing.name, thing.arn) and thing.status != "DELETED":
            return thing
    return None


_worlds: dict[tuple[str, str], World] = {}


def of(account_id: str, region: str) -> World:
    """Batch in an account and region, settled up to now. The account's lock is held by the caller."""
    world = _worlds.get((account_id, region))
    if world is None:
        world = _worlds[account_id, region] = World(account_id, region)
    world.settle()
    return world


def all_of(account_id: str) -> list[World]:
    """Batch in every region where the account has used it, settled up to now."""
    return [of(*key) for key in sorted(list(_worlds)) if key[0] == account_id]


def forget(account_id: str) -> None:
    """Empties an account."""
    for key in [key for key in list(_worlds) if key[0] == account_id]:
        del _worlds[key]
