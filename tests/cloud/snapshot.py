"""All that exists in an account, in every region, sorted and stable, for tests to compare."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from typing import Any

import batch
import batch_world
import ec2
import efs_world
import fsx
import iam_roles
import jobs
import logs
from batch_world import Environment, Queue, World
from moto.ec2.models import ec2_backends
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.iam.models import Role

Shape = dict[str, Any]


# What was hidden in an account, as it was then.
_hidden: dict[str, Shape] = {}


def reset(account_id: str) -> None:
    """Empties an account."""
    _hidden.pop(account_id, None)


def hide(account_id: str) -> None:
    """Leaves all that exists now out of `state`: it belongs to others, and no test has to know of it."""
    _hidden[account_id] = everything(account_id)


def state(account_id: str) -> Shape:
    """The snapshot: only existing resources; one that is DELETED but still listed does not exist."""
    found, hidden = everything(account_id), _hidden.get(account_id)
    if hidden is None:
        return found
    keys = {_key(each) for shapes in hidden.values() for each in shapes}
    return {kind: [each for each in shapes if _key(each) not in keys] for kind, shapes in found.items()}


def changes(account_id: str) -> list[str]:
    """What has changed of all that was hidden."""
    hidden = _hidden.get(account_id)
    if hidden is None:
        return []
    now = everything(account_id)
    changed = [(kind, each) for kind in hidden for each in hidden[kind] if each not in now[kind]]
    return [f"{kind} {_key(each)} of others has changed" for kind, each in changed]


def _key(shape: Shape) -> str:
    return shape.get("arn") or shape.get("id") or shape.get("name") or shape["job"]


def everything(account_id: str) -> Shape:
    """The snapshot with all that is hidden."""
    return {kind: of_kind(account_id, kind) for kind in _KINDS}


def of_kind(account_id: str, kind: str) -> list[Shape]:
    """Its things of one kind, which cost less than the whole."""
    return _KINDS[kind](account_id)


def _roles(account_id: str) -> list[Shape]:
    return _sorted([_role(each) for each in iam_roles.backend(account_id).roles.values()])


def _profiles(account_id: str) -> list[Shape]:
    profiles = iam_roles.backend(account_id).instance_profiles.values()
    return _sorted([
        {"name": each.name, "arn": each.arn, "roles": [role.name for role in each.roles], "tags": pairs(each.tags)}
        for each in profiles
    ])


def _templates(account_id: str) -> list[Shape]:
    return _sorted([
        _template(region, each)
        for region, backend in list(ec2_backends[account_id].items())
        for each in backend.launch_templates.values()
    ])


def _environments(account_id: str) -> list[Shape]:
    worlds = batch_world.all_of(account_id)
    environments = [_environment(world, each) for world in worlds for each in world.environments.values()]
    return _sorted([each for each in environments if each["status"] != "DELETED"])


def _queues(account_id: str) -> list[Shape]:
    worlds = batch_world.all_of(account_id)
    queues = [_queue(world, each) for world in worlds for each in world.queues.values()]
    return _sorted([each for each in queues if each["status"] != "DELETED"])


def _jobs(account_id: str) -> list[Shape]:
    return [each for world in batch_world.all_of(account_id) for each in jobs.described(world)]


_KINDS: dict[str, Callable[[str], list[Shape]]] = {
    "roles": _roles,
    "instance_profiles": _profiles,
    "launch_templates": _templates,
    "compute_environments": _environments,
    "job_queues": _queues,
    "jobs": _jobs,
    "efs": efs_world.described,
    "fsx": fsx.described,
    "log_groups": lambda account_id: _sorted(logs.described(account_id)),
}


def pairs(tags: list[dict[str, str]]) -> dict[str, str]:
    """A list of Key and Value as a map."""
    return {each["Key"]: each["Value"] for each in sorted(tags, key=lambda each: each["Key"])}


def _sorted(shapes: list[Shape]) -> list[Shape]:
    return sorted(shapes, key=lambda each: (each["name"], each.get("region", "")))


# Nobody changes a snapshot, so that two of them may share a document.
_document = functools.lru_cache(maxsize=2000)(json.loads)


def _role(role: Role) -> Shape:
    return {
        "name": role.name,
        "arn": role.arn,
        "path": role.path,
        "trust": _document(role.assume_role_policy_document),
        "managed": sorted(role.managed_policies),
        "inline": {name: _document(role.policies[name]) for name in sorted(role.policies)},
        "tags": pairs(role.tags),
        "boundary": role.permissions_boundary_arn,
    }


def _template(region: str, template: LaunchTemplate) -> Shape:
    data = {key: value for key, value in template.latest_version().data.items() if value not in (None, [], {})}
    if "UserData" in data:
        data["UserData"] = base64.b64decode(str(data["UserData"])).decode(errors="replace")
    return {
        "name": template.name,
        "id": template.id,
        "region": region,
        "data": data,
        "versions": len(template.versions),
        "tags": dict(sorted(ec2.tags_of(template).items())),
    }


def _environment(world: World, environment: Environment) -> Shape:
    shown = batch.show_environment(world, environment)
    return {
        "name": environment.name,
        "arn": environment.arn,
        "region": world.region,
        "state": environment.state,
        "status": environment.status,
        "status_reason": environment.reason,
        "service_role": environment.service_role,
        "compute_resources": shown.get("computeResources", {}),
        "tags": dict(sorted(environment.tags.items())),
        "running_jobs": sorted(job.id for job in world.jobs_on(environment)),
    }


def _queue(world: World, queue: Queue) -> Shape:
    return {
        "name": queue.name,
        "arn": queue.arn,
        "region": world.region,
        "state": queue.state,
        "status": queue.status,
        "priority": queue.priority,
        "order": queue.environments(),
        "time_limits": queue.time_limits,
        "scheduling_policy": queue.scheduling_policy,
        "tags": dict(sorted(queue.tags.items())),
    }
