"""Makes things directly, and takes them away, behind everyone's back and without any of AWS's strictness.

`POST /seed` takes `{"<kind>": {...}, ...}`, one or several kinds, each one thing or a list of things, and
answers with the new resources; `"region"` among them says where (us-east-1). `POST /drop` takes `{"kind", "name"}`
(an id where there is no name) and `"region"`. Seeded resources are settled at once: an environment is VALID
without a role, a role has spread everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import batch
import batch_world
import dynamodb
import ebs
import ec2
import efs_world
import fsx
import iam_roles
import inhabited
import partitions
import settings
import snapshot
from batch_world import Environment, Queue
from moto.batch.models import batch_backends
from moto.core.exceptions import ServiceException
from moto.ec2.models import ec2_backends
from moto.ec2.utils import parse_user_data
from moto.iam.models import InstanceProfile, Role
from moto.iam.utils import random_resource_id, random_role_id
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from werkzeug.exceptions import HTTPException

Shape = dict[str, Any]

REGION = "us-east-1"


def seed(account_id: str, body: Shape) -> Shape:
    """Makes things; the answer has the same kinds, with names, ARNs and ids."""
    region = body.get("region", REGION)
    partitions.note(account_id, region)
    made: Shape = {}
    for kind, given in body.items():
        if kind == "region":
            continue
        if kind not in _MAKERS:
            raise ValueError(f"unknown kind {kind}; known are {', '.join(sorted(_MAKERS))}")
        many = given if isinstance(given, list) else [given]
        try:
            results = [_MAKERS[kind](account_id, region, each) for each in many]
        except (HTTPException, ServiceException) as error:  # moto's refusals
            raise ValueError(f"{kind}: {error}") from error
        made[kind] = results if isinstance(given, list) else results[0]
    return made


def drop(account_id: str, body: Shape) -> None:
    """Takes one thing away; LookupError where it is not there."""
    kind, name, region = body["kind"], body["name"], body.get("region", REGION)
    if kind not in _DROPPERS:
        raise ValueError(f"unknown kind {kind}; known are {', '.join(sorted(_DROPPERS))}")
    # A change that has ended by now has ended, whatever is taken away next.
    batch_world.all_of(account_id)
    try:
        _DROPPERS[kind](account_id, region, name)
    except (HTTPException, ServiceException) as error:  # moto's refusals
        raise LookupError(f"{kind}: {error}") from error


def _role(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `trust` (a service or a document), `policies` (ARNs), `inline`, `tags`, `path`, `boundary`."""
    iam, trust = iam_roles.backend(account_id), given.get("trust", "batch.amazonaws.com")
    if isinstance(trust, str):
        statement = {"Effect": "Allow", "Principal": {"Service": trust}, "Action": "sts:AssumeRole"}
        trust = {"Version": "2012-10-17", "Statement": [statement]}
    role = Role(
        account_id, partitions.of(region), random_role_id(account_id), given["name"], json.dumps(trust), given.get("path", "/"),
        given.get("boundary"), "", _tag_list(given), "3600",
    )  # fmt: skip
    for arn in given.get("policies", []):
        role.managed_policies[arn] = iam.managed_policies[arn]
    role.policies = {name: json.dumps(document) for name, document in given.get("inline", {}).items()}
    iam.roles[role.id] = role
    return {"name": role.name, "arn": role.arn}


def _policy(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `document`: a policy of the account's own, for AttachRolePolicy and as a boundary."""
    made = iam_roles.backend(account_id).create_policy("", "/", json.dumps(given["document"]), given["name"], [])
    return {"name": made.name, "arn": made.arn}


def _profile(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `role` (its name), `tags`."""
    iam = iam_roles.backend(account_id)
    roles = [iam.get_role(given["role"])] if given.get("role") else []
    profile = InstanceProfile(account_id, region, random_resource_id(), given["name"], "/", roles, _tag_list(given))
    iam.instance_profiles[profile.name] = profile
    return {"name": profile.name, "arn": profile.arn}


def _environment(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `tags`, `state`, `status`, `reason`, `service_role`, `resources`, `broken` (a reason that stays)."""
    world = batch_world.of(account_id, region)
    resources = {"type": "EC2", "maxvCpus": 16, "instanceTypes": ["m6i"], "subnets": [], "securityGroupIds": []}
    request = {
        "computeEnvironmentName": given["name"],
        "tags": given.get("tags"),
        "serviceRole": given.get("service_role"),
        "computeResources": resources | {"instanceRole": "seeded"} | given.get("resources", {}),
    }
    environment: Environment = batch.new_environment(world, request)
    batch.valid(environment)
    environment.state = given.get("state", "ENABLED")
    environment.broken = given.get("broken")
    environment.status = given.get("status", "INVALID" if environment.broken else "VALID")
    environment.reason = given.get("reason", environment.broken or environment.reason)
    world.environments[environment.arn] = environment
    return {"name": environment.name, "arn": environment.arn}


def _queue(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `tags`, `state`, `priority`, `environments` (names or ARNs, in order)."""
    world = batch_world.of(account_id, region)
    environments = [world.environment(each) for each in given.get("environments", [])]
    queue = Queue(
        name=given["name"],
        arn=world.arn("job-queue", given["name"]),
        tags=dict(given.get("tags") or {}),
        state=given.get("state", "ENABLED"),
        status="VALID",
        reason=batch_world.HEALTHY_QUEUE,
        priority=given.get("priority", 1),
    )
    world.queues[queue.arn] = queue
    world.set_order(
        queue, [{"order": number, "computeEnvironment": each.arn} for number, each in enumerate(environments, 1)]
    )
    return {"name": queue.name, "arn": queue.arn}


def _scheduling_policy(account_id: str, region: str, given: Shape) -> Shape:
    """`name`: a fair-share policy, for queues."""
    policy = batch_backends[account_id][region].create_scheduling_policy(given["name"], {}, given.get("tags") or {})
    return {"name": policy.name, "arn": policy.arn}


def _template(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `data` (LaunchTemplateData; UserData in base64), `tags`."""
    data = dict(given.get("data") or {})
    data["UserData"] = parse_user_data(data.get("UserData"))
    tags = {"launch-template": dict(given.get("tags") or {})}
    template = ec2_backends[account_id][region].create_launch_template(given["name"], "", data, tags)
    return {"name": template.name, "id": template.id}


def _vpc(account_id: str, region: str, given: Shape) -> Shape:
    """`cidr`, `zones` (one subnet in each; a zone may come twice): another VPC, not the default one."""
    backend = ec2_backends[account_id][region]
    vpc = backend.create_vpc(given.get("cidr", "10.0.0.0/16"))
    base = vpc.cidr_block.rsplit(".", 2)[0]
    zones = enumerate(given.get("zones", [f"{region}a"]))
    subnets = [ec2.own_subnet(backend, vpc.id, f"{base}.{i}.0/24", zone).id for i, zone in zones]
    groups = [group.id for group in backend.groups[vpc.id].values()]
    return {"id": vpc.id, "subnets": subnets, "security_groups": groups}


def _security_group(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `vpc` (the default one), `rules` [{"protocol", "from", "to", "cidr" | "group" (default: itself)}]."""
    backend = ec2_backends[account_id][region]
    group = backend.create_security_group(given["name"], "seeded", given.get("vpc") or backend.default_vpc.id)
    for rule in given.get("rules", []):
        ranges = [{"CidrIp": rule["cidr"]}] if "cidr" in rule else []
        sources = [] if ranges else [{"GroupId": rule.get("group", group.id)}]
        backend.authorize_security_group_ingress(
            group.id, rule.get("protocol", "tcp"), rule.get("from"), rule.get("to"), ranges,
            source_groups=sources, vpc_id=group.vpc_id,
        )  # fmt: skip
    return {"name": group.name, "id": group.id}


def _ec2_tags(account_id: str, region: str, given: Shape) -> Shape:
    """`id` of anything in EC2, `tags`."""
    ec2_backends[account_id][region].create_tags([given["id"]], given["tags"])
    return {"id": given["id"]}


def _key_pair(account_id: str, region: str, given: Shape) -> Shape:
    """`name`."""
    ec2_backends[account_id][region].create_key_pair(given["name"], "ed25519", {})
    return {"name": given["name"]}


def _image(account_id: str, region: str, given: Shape) -> Shape:
    """`id`, `architecture` (x86_64), `root` (the root device's name), `size` (of its snapshot in GiB), `owner`, `alias`."""
    ec2.add_image(account_id, region, given["id"], ec2.Image(**{key: given[key] for key in given if key != "id"}))
    return {"id": given["id"]}


def _ebs_default(account_id: str, region: str, given: Shape) -> Shape:
    """`key`, `encrypts` (volumes that do not ask for it): the account's defaults for volumes."""
    ebs.set_default_key(account_id, region, given["key"], given.get("encrypts", False))
    return {}


def _efs(account_id: str, region: str, given: Shape) -> Shape:
    """`token`, `tags`, `subnets` (a mount target in each), `security_groups`, `request` (more of CreateFileSystem),
    `creating` (for how many AWS seconds its mount targets still are).

    `default_network`: a mount target in each subnet of the default VPC, and its default security group too.
    """
    request = dict(given.get("request") or {}) | {"Tags": _tag_list(given)}
    if "token" in given:
        request["CreationToken"] = given["token"]
    system = efs_world.add(account_id, region, request)
    backend = ec2_backends[account_id][region]
    subnets, groups = list(given.get("subnets", [])), list(given.get("security_groups", []))
    if given.get("default_network"):
        vpc_id = backend.default_vpc.id
        subnets += [each.id for zone in backend.subnets.values() for each in zone.values() if each.vpc_id == vpc_id]
        groups += [group.id for group in backend.groups[vpc_id].values() if group.name == "default"]
    for subnet_id in subnets:
        target = efs_world.add_target(account_id, region, system, backend.get_subnet(subnet_id), groups)
        if "creating" in given:
            target.state, target.until = "creating", settings.for_account(account_id).now() + given["creating"]
    return {"id": system.id, "arn": system.arn}


def _fsx(account_id: str, region: str, given: Shape) -> Shape:
    """`tags`, `request` (more of CreateFileSystem)."""
    request = {"StorageCapacity": 1200, "LustreConfiguration": {"DeploymentType": "SCRATCH_2"}}
    request |= dict(given.get("request") or {}) | {"Tags": _tag_list(given)}
    system = fsx.add(account_id, region, request, ec2_backends[account_id][region].default_vpc.id)
    return {"id": system.id, "arn": system.arn, "mount_name": system.mount_name}


def _fsx_failure(account_id: str, region: str, given: Shape) -> Shape:
    """`message`: the error of the next file system when it ends as FAILED."""
    fsx.fail_next(account_id, given["message"])
    return {}


def _fsx_growth_failure(account_id: str, region: str, given: Shape) -> Shape:
    """`message`: the error of the next growth of a file system."""
    fsx.fail_next_growth(account_id, given["message"])
    return {}


def _log_group(account_id: str, region: str, given: Shape) -> Shape:
    """`name`, `tags`, `retention`."""
    group = logs_backends[account_id][region].create_log_group(given["name"], dict(given.get("tags") or {}))
    if given.get("retention"):
        group.set_retention_policy(given["retention"])
    return {"name": group.name, "arn": group.arn}


def _bucket(account_id: str, region: str, given: Shape) -> Shape:
    """`name`."""
    s3_backends[account_id][partitions.of(region)].create_bucket(given["name"], region)
    return {"name": given["name"]}


def _inhabitants(account_id: str, region: str, given: Shape) -> Shape:
    """All that others have (`inhabited.seed`). `hidden`: with all that exists already it is left out of the snapshot."""
    made = inhabited.seed(account_id, region, given)
    if given.get("hidden"):
        snapshot.hide(account_id)
    return made


def _own_subnets(account_id: str, region: str, given: Shape) -> Shape:
    """`zones`: a subnet in each in place of the default subnets, which the account has deleted from its default VPC."""
    backend = ec2_backends[account_id][region]
    vpc_id = backend.default_vpc.id
    for each in [each for zone in backend.subnets.values() for each in zone.values() if each.vpc_id == vpc_id]:
        backend.delete_subnet(each.id)
    zones = enumerate(given["zones"])
    return {"ids": [ec2.own_subnet(backend, vpc_id, f"172.31.{i}.0/24", zone).id for i, zone in zones]}


_MAKERS: dict[str, Callable[[str, str, Shape], Shape]] = {
    "role": _role,
    "policy": _policy,
    "instance_profile": _profile,
    "template": _template,
    "environment": _environment,
    "queue": _queue,
    "scheduling_policy": _scheduling_policy,
    "vpc": _vpc,
    "own_subnets": _own_subnets,
    "security_group": _security_group,
    "ec2_tags": _ec2_tags,
    "key_pair": _key_pair,
    "image": _image,
    "ebs_default": _ebs_default,
    "efs": _efs,
    "fsx": _fsx,
    "fsx_failure": _fsx_failure,
    "fsx_growth_failure": _fsx_growth_failure,
    "log_group": _log_group,
    "bucket": _bucket,
    "table": dynamodb.seed_table,
    "item": dynamodb.seed_item,
    "inhabitants": _inhabitants,
}


def _drop_role(account_id: str, region: str, name: str) -> None:
    """With all that hangs on it; the environments that it served notice at once."""
    iam = iam_roles.backend(account_id)
    role = iam.get_role(name)
    for profile in iam.instance_profiles.values():
        profile.roles = [each for each in profile.roles if each is not role]
    del iam.roles[role.id]
    batch_world.all_of(account_id)


def _drop_profile(account_id: str, region: str, name: str) -> None:
    del iam_roles.backend(account_id).instance_profiles[name]


def _drop_template(account_id: str, region: str, name: str) -> None:
    ec2_backends[account_id][region].delete_launch_template(name, None)


def _drop_environment(account_id: str, region: str, name: str) -> None:
    world = batch_world.of(account_id, region)
    environment = _present(world.environment(name), name)
    for queue in world.queues.values():
        queue.order = [each for each in queue.order if each["computeEnvironment"] != environment.arn]
    del world.environments[environment.arn]


def _drop_queue(account_id: str, region: str, name: str) -> None:
    world = batch_world.of(account_id, region)
    del world.queues[_present(world.queue(name), name).arn]


def _drop_cluster(account_id: str, region: str, name: str) -> None:
    """The ECS cluster that Batch owns, of the environment `name`: nothing repairs that."""
    environment = _present(batch_world.of(account_id, region).environment(name), name)
    environment.broken = environment.reason = "CLIENT_ERROR - Clusters can not be blank."
    environment.status, environment.until = "INVALID", None


def _drop_image(account_id: str, region: str, name: str) -> None:
    ec2.remove_image(account_id, region, name)


def _drop_efs(account_id: str, region: str, name: str) -> None:
    del efs_world.of(account_id, region)[name]


def _drop_fsx(account_id: str, region: str, name: str) -> None:
    del fsx.of(account_id, region)[name]


def _drop_log_group(account_id: str, region: str, name: str) -> None:
    logs_backends[account_id][region].delete_log_group(name)


_DROPPERS: dict[str, Callable[[str, str, str], None]] = {
    "role": _drop_role,
    "instance_profile": _drop_profile,
    "template": _drop_template,
    "environment": _drop_environment,
    "queue": _drop_queue,
    "cluster": _drop_cluster,
    "image": _drop_image,
    "efs": _drop_efs,
    "fsx": _drop_fsx,
    "log_group": _drop_log_group,
    "table": dynamodb.drop_table,
    "item": dynamodb.drop_item,
}


def _present(thing: Any, name: str) -> Any:
    if thing is None:
        raise LookupError(f"no {name}")
    return thing


def _tag_list(given: Shape) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (given.get("tags") or {}).items()]
