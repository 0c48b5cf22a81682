"""An account that is not empty: what accounts of AWS have, none of it ours, and as AWS shows it.

`POST /seed` with `{"inhabitants": {"forge": "Lab1"}}` makes it all, with names that begin like those of this forge. The
integration tests have Batch's part of it in every account, hidden from the snapshot, and a test fails if it has changed.
Batch's resources are pictures: Describe shows them as they are here, with members left out as AWS leaves them out. The
shapes are those of botocore's models; the environment without tags, uuid, orchestration and update policy is as in a
recorded answer (Cloud Custodian's test_batch_compute_update).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import batch_world
import ec2
import efs_world
import fsx
import iam_roles
import partitions
from batch_world import Environment, Queue, World
from moto.batch.models import batch_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models.subnets import Subnet
from moto.ec2.models.vpcs import VPC
from moto.iam.models import InstanceProfile, Role
from moto.iam.utils import random_resource_id, random_role_id
from moto.logs.models import logs_backends

Shape = dict[str, Any]

ACCOUNT = "123456789012"
"""Stands for the account in `environments` and `queues`."""

ANOTHER = "210987654321"
"""The account that has shared its VPC with this one."""

# More than a page of each list: EC2 shows 200 templates at once, FSx 50 file systems, CloudWatch Logs 50 groups.
TEMPLATES, LUSTRES, LOG_GROUPS, ROLES, PROFILES = 230, 110, 120, 300, 30

_ASSUME = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [_ASSUME]})
SERVICE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
IN_NETWORK = {"subnets": ["subnet-0a1b2c3d4e5f60718"], "securityGroupIds": ["sg-0a1b2c3d4e5f60718"]}
ON_EC2 = IN_NETWORK | {
    "type": "EC2", "minvCpus": 0, "maxvCpus": 256, "desiredvCpus": 0, "instanceTypes": ["optimal"],
    "instanceRole": "ecsInstanceRole",
}  # fmt: skip
ON_FARGATE = IN_NETWORK | {"type": "FARGATE", "maxvCpus": 256}
POLICY = {"updatePolicy": {"terminateJobsOnUpdate": False, "jobExecutionTimeoutMinutes": 30}}
SINCE_2021 = POLICY | {"containerOrchestrationType": "ECS", "uuid": "5f0a2f0e-9d3b-3a41-8a51-0d7f0e6c9b11"}


def install() -> None:
    """Lets VPCs and subnets belong to another account."""
    for kind in (VPC, Subnet):
        kind.owner_id = property(_owner)  # type: ignore[misc]


def _owner(thing: Any) -> str:
    return getattr(thing, "shared_by", thing.ec2_backend.account_id)


def environments(forge: str) -> Iterator[Shape]:
    """The members of compute environments, but for ARNs; `computeEnvironmentName` is not said twice."""

    def one(name: str, resources: Shape | None, **more: Any) -> Shape:
        shown = {"computeEnvironmentName": name, "type": "MANAGED", "state": "ENABLED"}
        shown |= {"status": "VALID", "statusReason": "ComputeEnvironment Healthy", "serviceRole": SERVICE_ROLE}
        shown |= {"ecsClusterArn": f"arn:aws:ecs:eu-west-1:{ACCOUNT}:cluster/{name}_Batch_6d67ab71-4455-3613-b981"}
        return shown | ({"computeResources": resources} if resources else {}) | more

    yield one("as-recorded", ON_EC2)
    yield one("unmanaged", None, type="UNMANAGED", unmanagedvCpus=16, **SINCE_2021)
    yield one("unmanaged-without-anything", None, type="UNMANAGED", statusReason=None)
    yield one("managed-without-resources", None, state="DISABLED")
    yield one(
        "eks", ON_EC2 | {"instanceRole": "eksNodeProfile", "ec2Configuration": [{"imageType": "EKS_AL2023"}]},
        containerOrchestrationType="EKS", ecsClusterArn=None, serviceRole=None,
        eksConfiguration={"eksClusterArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/lab", "kubernetesNamespace": "batch"},
    )  # fmt: skip
    yield one("fargate", ON_FARGATE, tags={"team": "lab"}, **SINCE_2021)
    yield one("fargate-spot", ON_FARGATE | {"type": "FARGATE_SPOT"}, containerOrchestrationType="ECS")
    yield one("best-fit", ON_EC2 | {"allocationStrategy": "BEST_FIT", "ec2KeyPair": "lab"}, **SINCE_2021)
    yield one(
        "spot", ON_EC2 | {"type": "SPOT", "allocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED", "bidPercentage": 60,
                          "spotIamFleetRole": "arn:aws:iam::123456789012:role/spot", "tags": {"Name": "spot"}},
        tags={"aws:cloudformation:stack-name": "lab"}, **SINCE_2021,
    )  # fmt: skip
    overrides = [{"launchTemplateId": "lt-0a1b2c3d4e5f60719", "version": "$Latest", "targetInstanceTypes": ["p4d"]}]
    template = {"launchTemplateId": "lt-0a1b2c3d4e5f60718", "version": "$Default", "overrides": overrides}
    yield one("with-overrides", ON_EC2 | {"launchTemplate": template, "placementGroup": "lab"}, context="", **SINCE_2021)
    yield one("all-null", ON_EC2 | {"tags": None, "ec2KeyPair": None}, tags=None, updatePolicy=None, uuid=None)
    why = "CLIENT_ERROR - Invalid IamInstanceProfile: ecsInstanceRole"
    yield one("invalid", ON_EC2, status="INVALID", statusReason=why)
    why = "CLIENT_ERROR - Clusters can not be blank."
    yield one("of-a-deleted-cluster", ON_EC2, status="INVALID", statusReason=why)
    yield one("in-transition", ON_EC2, status="UPDATING", statusReason=None)
    yield one("being-deleted", ON_EC2, state="DISABLED", status="DELETING", tags={"team": "lab"})
    # Another forge's, and a hand-made one: their names begin like ours.
    yield one(f"TowerForge-{forge}0-work-0123abcd", ON_EC2, tags=_of_another_forge(f"{forge}0"), **SINCE_2021)
    yield one(f"TowerForge-{forge}_work-0123abcd", ON_EC2)


def queues(forge: str) -> Iterator[Shape]:
    """The members of job queues, but for ARNs. Environments and policies are named only."""

    def one(name: str, *order: str, **more: Any) -> Shape:
        healthy = {"state": "ENABLED", "status": "VALID", "statusReason": "JobQueue Healthy", "priority": 1}
        return {"jobQueueName": name, "computeEnvironmentOrder": list(order)} | healthy | more

    yield one("plain", "as-recorded", "spot", jobStateTimeLimitActions=[])
    yield one("fair-share", "best-fit", schedulingPolicyArn="fair", jobQueueType="ECS", tags={"team": "lab"})
    yield one("eks", "eks", jobQueueType="EKS")
    yield one("fargate", "fargate", "fargate-spot", jobQueueType="ECS_FARGATE", statusReason=None)
    yield one(
        "sagemaker", jobQueueType="SAGEMAKER_TRAINING", tags=None,
        serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "training"}],
    )  # fmt: skip
    yield one("of-a-deleted-environment", "gone", status="INVALID", statusReason="CLIENT_ERROR - no environment")
    yield one("disabled", "invalid", "unmanaged", state="DISABLED", priority=0)
    yield one("being-deleted", "being-deleted", state="DISABLED", status="DELETING")
    limit = {"reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "state": "RUNNABLE", "maxTimeSeconds": 600}
    limits = [limit | {"action": "TERMINATE"}]
    yield one(f"TowerForge-{forge}0-work", f"TowerForge-{forge}0-work-0123abcd", jobStateTimeLimitActions=limits,
              tags=_of_another_forge(f"{forge}0"))  # fmt: skip


def _of_another_forge(forge: str, account_id: str = ACCOUNT) -> dict[str, str]:
    # A stack that CloudFormation does not know any more.
    stack = f"arn:aws:cloudformation:eu-west-1:{account_id}:stack/another/1"
    return {"towerforge:forge-id": forge, "towerforge:stack-id": stack, "towerforge:logical-id": "Genomics"}


def seed(account_id: str, region: str, given: Shape) -> Shape:
    """Makes everything; `forge` is the ID of the forge beside which it is made. The answer has the shared network.

    `batch_only`: only what every look at Batch shows.
    """
    forge = given.get("forge", "Lab1")
    _seed_batch(batch_world.of(account_id, region), forge)
    if given.get("batch_only"):
        return {}
    _seed_iam(account_id, region, forge)
    _seed_file_systems(account_id, region, forge)
    templates, logs = ec2_backends[account_id][region], logs_backends[account_id][region]
    for name in [f"TowerForge-{forge}0-0123abcd", f"TowerForge-{forge}_", *(f"lab-{n:03}" for n in range(TEMPLATES))]:
        tags = {"launch-template": _of_another_forge(f"{forge}0", account_id)} if f"{forge}0" in name else {}
        templates.create_launch_template(name, "", {"ImageId": "ami-0123456789abcdef0", "UserData": ""}, tags)
    # Half of them begin with the name of the forge's own.
    for number in range(LOG_GROUPS):
        logs.create_log_group(f"/tower-forge/{forge}{number:03}" if number % 2 else f"/aws/batch/{number}", {})
    return _shared_network(account_id, region)


def _in_account(shapes: Iterator[Shape], world: World) -> list[Shape]:
    text = json.dumps(list(shapes)).replace(ACCOUNT, world.account_id).replace("eu-west-1", world.region)
    return json.loads(text.replace("arn:aws:", f"arn:{partitions.of(world.region)}:"))


def _seed_batch(world: World, forge: str) -> None:
    for members in _in_account(environments(forge), world):
        name = members["computeEnvironmentName"]
        arn = world.arn("compute-environment", name)
        world.environments[arn] = Environment(
            name=name, arn=arn, tags=dict(members.get("tags") or {}), kind=members["type"],
            service_role=members["serviceRole"] or SERVICE_ROLE,
            state=members["state"], status=members["status"], reason=members["statusReason"] or "",
            resources=dict(members.get("computeResources") or {}),
            picture={"computeEnvironmentArn": arn} | members,
        )  # fmt: skip
    fair = batch_backends[world.account_id][world.region].create_scheduling_policy("fair", {}, {}).arn
    for members in _in_account(queues(forge), world):
        arn, order = world.arn("job-queue", members["jobQueueName"]), members["computeEnvironmentOrder"]
        picture = members | {
            "jobQueueArn": arn,
            "computeEnvironmentOrder": [
                {"order": number, "computeEnvironment": world.arn("compute-environment", name)}
                for number, name in enumerate(order, 1)
            ],
        }
        if "schedulingPolicyArn" in members:
            picture["schedulingPolicyArn"] = fair
        for each in picture.get("serviceEnvironmentOrder", []):
            each["serviceEnvironment"] = world.arn("service-environment", each["serviceEnvironment"])
        world.queues[arn] = Queue(
            name=members["jobQueueName"], arn=arn, tags=dict(members.get("tags") or {}), state=members["state"],
            status=members["status"], reason=members["statusReason"] or "", priority=members["priority"],
            order=picture["computeEnvironmentOrder"], scheduling_policy=picture.get("schedulingPolicyArn"),
            time_limits=members.get("jobStateTimeLimitActions", []), picture=picture,
        )  # fmt: skip


def _seed_iam(account_id: str, region: str, forge: str) -> None:
    iam = iam_roles.backend(account_id)
    for name in [f"TowerForge-{forge}0-ServiceRole", *(f"lab-{number:03}" for number in range(ROLES))]:
        path = "/service-role/" if name.endswith("5") else "/"
        role = Role(account_id, "aws", random_role_id(account_id), name, TRUST, path, None, "", [], "3600")
        iam.roles[role.id] = role
    for number in range(PROFILES):
        name = f"lab-{number:03}"
        iam.instance_profiles[name] = InstanceProfile(account_id, region, random_resource_id(), name, "/", [], [])


def _seed_file_systems(account_id: str, region: str, forge: str) -> None:
    for number, state in enumerate(("creating", "available", "updating", "deleting", "deleted", "error")):
        token = f"TowerForge-{forge}{number}" if number % 2 else f"console-{number}"
        efs_world.add(account_id, region, {"CreationToken": token}).state = state
    vpc = ec2_backends[account_id][region].default_vpc.id
    kinds = itertools.cycle(("LUSTRE", "WINDOWS", "ONTAP", "OPENZFS"))
    states = itertools.cycle(
        ("AVAILABLE", "CREATING", "FAILED", "DELETING", "MISCONFIGURED", "UPDATING", "MISCONFIGURED_UNAVAILABLE")
    )
    for number, kind, state in zip(range(LUSTRES), kinds, states, strict=False):
        system = fsx.add(account_id, region, {"StorageCapacity": 1200, "FileSystemType": kind}, vpc)
        system.state, system.failure = state, None
        if number % 10 == 0:
            system.tags |= {"Name": f"TowerForge-{forge}", "towerforge:forge-id": f"{forge}0"}


def _shared_network(account_id: str, region: str) -> Shape:
    """A VPC that another account has shared: the VPC and its subnets are that account's, the groups are ours."""
    backend = ec2_backends[account_id][region]
    vpc = backend.create_vpc("10.20.0.0/16")
    subnets = [
        ec2.own_subnet(backend, vpc.id, f"10.20.{number}.0/24", f"{region}{zone}")
        for number, zone in enumerate("ab")
    ]
    for each in (vpc, *subnets):
        each.shared_by = ANOTHER
    groups = [group.id for group in backend.groups[vpc.id].values()]
    return {"vpc": vpc.id, "subnets": sorted(subnet.id for subnet in subnets), "security_groups": groups}
