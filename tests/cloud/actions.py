"""The questions of a call to IAM: its action on its resources, and the dependent actions that AWS asks for as well.

From the Service Authorization Reference, for the services that a forge touches. Other calls are judged as
an action of their own name on `*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import partitions
from accounts import Caller
from wire import Call

Params = dict[str, Any]
Tags = dict[str, str]
# All things of a kind in an account, as its snapshot shows them.
Things = Callable[[str], list[dict[str, Any]]]

_PREFIXES = {"efs": "elasticfilesystem"}


@dataclass(frozen=True)
class Ask:
    """One question to IAM. `exists`: the resource is there already, so its tags count (aws:ResourceTag)."""

    action: str
    resource: str = "*"
    context: dict[str, Any] = field(default_factory=dict)
    exists: bool = False


class World:
    """The look-ups that the ARNs of a call's resources need."""

    def __init__(self, caller: Caller, things: Things) -> None:
        self.caller = caller
        self.all = things

    def find(self, kind: str, **wanted: Any) -> dict[str, Any]:
        """The thing of a kind that has these members, {} where there is none."""
        return next((each for each in self.all(kind) if wanted.items() <= each.items()), {})

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the caller's account, and in its region unless the service is IAM."""
        region = "" if service == "iam" else self.caller.region
        return f"arn:{partitions.of(self.caller.region)}:{service}:{region}:{self.caller.account}:{resource}"

    def role(self, name_or_arn: str) -> str:
        """The ARN of a role."""
        if name_or_arn.startswith("arn:"):
            return name_or_arn
        return self.find("roles", name=name_or_arn).get("arn") or self.arn("iam", f"role/{name_or_arn}")

    def profile_roles(self, name_or_arn: str) -> list[str]:
        """The ARNs of the roles in an instance profile; of a missing one, the role that has its name."""
        name = name_or_arn.rsplit("/", 1)[-1]
        profile = self.find("instance_profiles", name=name)
        return [self.role(each) for each in profile.get("roles", []) or [name]]


def asks(call: Call, caller: Caller, things: Things) -> list[Ask]:
    """Everything that IAM is asked about a call; the call's own action comes first."""
    world = World(caller, things)
    of_service = _SERVICES.get(call.service)
    if of_service is None:
        return [Ask(f"{call.service}:{call.operation}")]
    try:
        return list(of_service(call.operation, call.params, world))
    except KeyError:  # the name of the resource is missing: moto says so, after this
        return [Ask(f"{prefix(call.service)}:{call.operation}")]


def key_of(resource: str) -> str:
    """The key of a resource in the index of tags: an ARN without region and account where they are known."""
    parts = resource.split(":", 5)
    return f"{parts[2]}:{parts[5]}" if len(parts) == 6 else resource


TAGGED: dict[str, dict[str, Callable[[dict[str, Any]], str]]] = {
    "iam": {
        "roles": lambda each: key_of(each["arn"]),
        "instance_profiles": lambda each: f"iam:instance-profile/{each['name']}",
    },
    "ec2": {"launch_templates": lambda each: f"ec2:launch-template/{each['id']}"},
    "batch": {
        "compute_environments": lambda each: key_of(each["arn"]),
        "job_queues": lambda each: key_of(each["arn"]),
    },
    "efs": {"efs": lambda each: f"elasticfilesystem:file-system/{each['id']}"},
    "fsx": {"fsx": lambda each: f"fsx:file-system/{each['id']}"},
    "logs": {"log_groups": lambda each: f"logs:log-group:{each['name']}"},
}
"""The kinds of things that have tags, by the service that tags them; and `key_of` of each thing."""


def tags_of(service: str, things: Things) -> dict[str, Tags]:
    """The tags of all that an account has of a service, by `key_of`."""
    return {key(each): dict(each.get("tags") or {}) for kind, key in TAGGED[service].items() for each in things(kind)}


def _request_tags(tags: Any) -> dict[str, Any]:
    """aws:RequestTag and aws:TagKeys, from a map or from any of AWS's lists of pairs."""
    if isinstance(tags, list):
        tags = {each.get("Key", each.get("key")): each.get("Value", each.get("value", "")) for each in tags}
    if not tags:
        return {}
    return {"aws:TagKeys": list(tags)} | {f"aws:RequestTag/{key}": value for key, value in tags.items()}


def _tag_keys(keys: Iterable[str] | None) -> dict[str, Any]:
    return {"aws:TagKeys": list(keys)} if keys else {}


def _pass(role: str, service: str) -> Ask:
    return Ask("iam:PassRole", role, {"iam:PassedToService": service})


def _linked(world: World, service: str) -> Ask:
    """A service makes its service-linked role with the caller's rights, when an account first needs it."""
    principal = f"{service}.amazonaws.com"
    role = world.arn("iam", f"role/aws-service-role/{principal}/*")
    return Ask("iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": principal})


def _ec2_service(world: World) -> str:
    """EC2 as a principal, which has another name in China."""
    return f"ec2.{partitions.dns_suffix(world.caller.region)}"


def _batch(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action = f"batch:{operation}"

    def arn(kind: str, value: str) -> str:
        return value if value.startswith("arn:") else world.arn("batch", f"{kind}/{value}")

    tags = _request_tags(params.get("tags"))
    created = operation.startswith("Create")
    if operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        yield Ask(action, params["resourceArn"], tags | _tag_keys(params.get("tagKeys")), exists=True)
    elif operation.endswith("ComputeEnvironment"):
        named = params.get("computeEnvironmentName") or params["computeEnvironment"]
        environment = arn("compute-environment", named)
        yield Ask(action, environment, tags, exists=not created)
        if created and tags:
            yield Ask("batch:TagResource", environment, tags)
        if created and not params.get("serviceRole"):
            # Batch: makes its service-linked role for the first environment without another one.
            yield _linked(world, "batch")
        resources = params.get("computeResources") or {}
        if params.get("serviceRole"):
            yield _pass(world.role(params["serviceRole"]), "batch.amazonaws.com")
        if resources.get("instanceRole"):
            for role in world.profile_roles(resources["instanceRole"]):
                yield _pass(role, _ec2_service(world))
        if resources.get("spotIamFleetRole"):
            yield _pass(world.role(resources["spotIamFleetRole"]), "spotfleet.amazonaws.com")
    elif operation.endswith("JobQueue"):
        queue = arn("job-queue", params.get("jobQueueName") or params["jobQueue"])
        yield Ask(action, queue, tags, exists=not created)
        for each in params.get("computeEnvironmentOrder") or []:
            yield Ask(action, arn("compute-environment", each["computeEnvironment"]), tags, exists=True)
        if params.get("schedulingPolicyArn"):
            yield Ask(action, params["schedulingPolicyArn"], tags, exists=True)
        if created and tags:
            yield Ask("batch:TagResource", queue, tags)
    elif operation == "SubmitJob":
        yield Ask(action, arn("job-queue", params["jobQueue"]), tags, exists=True)
        yield Ask(action, arn("job-definition", params["jobDefinition"]), tags, exists=True)
    elif operation in ("CancelJob", "TerminateJob"):
        yield Ask(action, world.arn("batch", f"job/{params['jobId']}"), exists=True)
    else:
        yield Ask(action)


_PROFILE = re.compile(r"InstanceProfile$|InstanceProfileTags$")
# The actions on roles that can be conditioned on the boundary: the one given, or the one that the role has.
_BOUNDED = re.compile(
    r"(Create|Delete|Get|Update)Role|UpdateAssumeRolePolicy|UpdateRoleDescription"
    r"|(Put|Delete)RolePermissionsBoundary|(Attach|Detach|Put|Delete)RolePolicy"
)


def _iam(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action = f"iam:{operation}"
    path = params.get("Path") or "/"
    created = operation.startswith("Create")
    context = _request_tags(params.get("Tags")) | _tag_keys(params.get("TagKeys"))
    if params.get("PolicyArn") and operation.startswith(("Attach", "Detach")):
        context["iam:PolicyARN"] = params["PolicyArn"]
    if operation == "CreateServiceLinkedRole":
        service = params["AWSServiceName"]
        context["iam:AWSServiceName"] = service
        yield Ask(action, world.arn("iam", f"role/aws-service-role/{service}/*"), context)
    elif params.get("InstanceProfileName") and _PROFILE.search(operation):
        profile = world.arn("iam", f"instance-profile{path}{params['InstanceProfileName']}")
        yield Ask(action, profile, context, exists=not created)
        if created and params.get("Tags"):
            yield Ask("iam:TagInstanceProfile", profile, context)
        if operation == "AddRoleToInstanceProfile":
            yield _pass(world.role(params["RoleName"]), _ec2_service(world))
    elif params.get("RoleName"):
        name = params["RoleName"]
        role = world.arn("iam", f"role{path}{name}") if created else world.role(name)
        boundary = params.get("PermissionsBoundary")
        if not created and not boundary:
            boundary = world.find("roles", name=name).get("boundary")
        bounded = {"iam:PermissionsBoundary": boundary} if boundary and _BOUNDED.fullmatch(operation) else {}
        yield Ask(action, role, context | bounded, exists=not created)
        if created and params.get("Tags"):
            yield Ask("iam:TagRole", role, context)
    elif params.get("PolicyArn"):
        yield Ask(action, params["PolicyArn"], context)
    elif created and params.get("PolicyName"):
        yield Ask(action, world.arn("iam", f"policy{path}{params['PolicyName']}"), context)
    else:
        yield Ask(action)


def _ec2(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action, region = f"ec2:{operation}", {"ec2:Region": world.caller.region}
    if operation == "CreateLaunchTemplate":
        template = world.arn("ec2", "launch-template/*")
        tags = [tag for each in params.get("TagSpecifications") or [] for tag in each.get("Tags") or []]
        context = _request_tags(tags) | region
        yield Ask(action, template, context)
        if tags:
            yield Ask("ec2:CreateTags", template, context | {"ec2:CreateAction": operation})
        yield from _image(params)
    elif operation in ("DeleteLaunchTemplate", "ModifyLaunchTemplate", "CreateLaunchTemplateVersion"):
        template = params.get("LaunchTemplateId")
        if not template:
            wanted = {"name": params["LaunchTemplateName"], "region": world.caller.region}
            template = world.find("launch_templates", **wanted).get("id", "*")
        yield Ask(action, world.arn("ec2", f"launch-template/{template}"), region, exists=True)
        yield from _image(params)
    elif operation in ("CreateTags", "DeleteTags"):
        for each in params.get("Resources") or []:
            kind = {"lt": "launch-template", "sg": "security-group", "i": "instance"}.get(each.split("-")[0], "*")
            context = _request_tags(params.get("Tags")) | region
            yield Ask(action, world.arn("ec2", f"{kind}/{each}"), context, exists=True)
    else:
        yield Ask(action, context=region)


def _image(params: Params) -> Iterator[Ask]:
    image = (params.get("LaunchTemplateData") or {}).get("ImageId") or ""
    if image.startswith("resolve:ssm:"):
        yield Ask("ssm:GetParameters")


def _efs(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action = f"elasticfilesystem:{operation}"
    tags = _request_tags(params.get("Tags"))

    def arn(file_system: str) -> str:
        name = file_system.rsplit("/", 1)[-1]
        return world.arn("elasticfilesystem", f"file-system/{name}")

    if operation == "CreateFileSystem":
        encrypted = {"elasticfilesystem:Encrypted": str(bool(params.get("Encrypted"))).lower()}
        # The API has no resource to name: it does not exist yet, and the service has no ARN for "any".
        yield Ask(action, "*", tags | encrypted)
        if tags:
            context = tags | {"elasticfilesystem:CreateAction": operation}
            yield Ask("elasticfilesystem:TagResource", arn("*"), context)
        return
    named = params.get("FileSystemId") or params.get("ResourceId")
    if not named and params.get("MountTargetId"):
        named = _mounted(params["MountTargetId"], world)
    tags |= _tag_keys(params.get("TagKeys"))
    yield Ask(action, arn(named or "*"), tags, exists=bool(named))
    if operation == "CreateMountTarget":
        yield _linked(world, "elasticfilesystem")
    # The API reference names the actions of EC2 that EFS takes with the caller's rights.
    for each in _INTERFACES.get(operation, ()):
        resource = "*" if each.startswith("Describe") else world.arn("ec2", "network-interface/*")
        yield Ask(f"ec2:{each}", resource, {"aws:ViaAWSService": "true"})


_INTERFACES = {
    "CreateMountTarget": ("DescribeSubnets", "DescribeNetworkInterfaces", "CreateNetworkInterface"),
    "DeleteMountTarget": ("DeleteNetworkInterface",),
    "DescribeMountTargetSecurityGroups": ("DescribeNetworkInterfaceAttribute",),
    "ModifyMountTargetSecurityGroups": ("ModifyNetworkInterfaceAttribute",),
}


def _mounted(mount_target: str, world: World) -> str | None:
    for each in world.all("efs"):
        if any(target["id"] == mount_target for target in each["mount_targets"]):
            return each["id"]
    return None


def _fsx(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action = f"fsx:{operation}"
    tags = _request_tags(params.get("Tags"))
    if operation == "CreateFileSystem":
        any_one = world.arn("fsx", "file-system/*")
        yield Ask(action, any_one, tags)
        if tags:
            yield Ask("fsx:TagResource", any_one, tags)
        # FSx looks at the security groups with the caller's rights.
        yield Ask("ec2:GetSecurityGroupsForVpc", world.arn("ec2", "vpc/*"))
        yield _linked(world, "fsx")
    elif params.get("ResourceARN"):
        yield Ask(action, params["ResourceARN"], tags | _tag_keys(params.get("TagKeys")), exists=True)
    elif params.get("FileSystemId"):
        yield Ask(action, world.arn("fsx", f"file-system/{params['FileSystemId']}"), exists=True)
        lustre = params.get("LustreConfiguration") or {}
        # Lustre skips the final backup unless told otherwise.
        if operation == "DeleteFileSystem" and lustre.get("SkipFinalBackup") is False:
            backup, backup_tags = world.arn("fsx", "backup/*"), _request_tags(lustre.get("FinalBackupTags"))
            yield Ask("fsx:CreateBackup", backup, backup_tags)
            if backup_tags:
                yield Ask("fsx:TagResource", backup, backup_tags)
    else:
        yield Ask(action)


def _logs(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action = f"logs:{operation}"
    tags = _request_tags(params.get("tags"))
    if params.get("resourceArn"):
        arn = params["resourceArn"].removesuffix(":*")
        yield Ask(action, arn, tags | _tag_keys(params.get("tagKeys")), exists=True)
    elif not params.get("logGroupName"):
        yield Ask(action)
    else:
        arn = world.arn("logs", f"log-group:{params['logGroupName']}")
        created = operation == "CreateLogGroup"
        yield Ask(action, arn, tags, exists=not created)
        if created and tags:
            yield Ask("logs:TagResource", arn, tags)


def _cloudformation(operation: str, params: Params, world: World) -> Iterator[Ask]:
    named = params.get("StackName")
    if not named:
        yield Ask(f"cloudformation:{operation}")
    else:
        stack = named if named.startswith("arn:") else world.arn("cloudformation", f"stack/{named}/*")
        yield Ask(f"cloudformation:{operation}", stack)


def _lambda(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action = "lambda:InvokeFunction" if operation.startswith("Invoke") else f"lambda:{operation}"
    named = params.get("FunctionName")
    if not named:
        yield Ask(action)
        return
    arn = named if named.startswith("arn:") else world.arn("lambda", f"function:{named}")
    if params.get("Qualifier") and not arn.endswith(f":{params['Qualifier']}"):
        arn += f":{params['Qualifier']}"
    yield Ask(action, arn)


def _dynamodb(operation: str, params: Params, world: World) -> Iterator[Ask]:
    action, named = f"dynamodb:{operation}", params.get("TableName")
    if not named:
        yield Ask(action)
    else:
        yield Ask(action, named if named.startswith("arn:") else world.arn("dynamodb", f"table/{named}"))


def _ssm(operation: str, params: Params, world: World) -> Iterator[Ask]:
    names = params.get("Names") or [params[key] for key in ("Name", "Path") if params.get(key)]
    for name in names:
        arn = world.arn("ssm", f"parameter/{name.lstrip('/')}")
        # AWS's own parameters belong to no account.
        owned = not name.startswith("/aws/")
        yield Ask(f"ssm:{operation}", arn if owned else arn.replace(f":{world.caller.account}:", "::"))
    if not names:
        yield Ask(f"ssm:{operation}")


def _s3(operation: str, params: Params, world: World) -> Iterator[Ask]:
    renamed = {"HeadBucket": "ListBucket", "ListObjectsV2": "ListBucket", "HeadObject": "GetObject",
               "ListBuckets": "ListAllMyBuckets"}
    bucket, key = params.get("Bucket"), params.get("Key")
    resource = "*" if not bucket else f"arn:{partitions.of(world.caller.region)}:s3:::{bucket}" + (f"/{key}" if key else "")
    yield Ask(f"s3:{renamed.get(operation, operation)}", resource)


def _sts(operation: str, params: Params, world: World) -> Iterator[Ask]:
    if operation != "GetCallerIdentity":  # which nobody needs a permission for
        yield Ask(f"sts:{operation}", params.get("RoleArn") or "*")


_SERVICES: dict[str, Callable[[str, Params, World], Iterator[Ask]]] = {
    "batch": _batch,
    "cloudformation": _cloudformation,
    "dynamodb": _dynamodb,
    "ec2": _ec2,
    "efs": _efs,
    "fsx": _fsx,
    "iam": _iam,
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "ssm": _ssm,
    "sts": _sts,
}


def prefix(service: str) -> str:
    """The name of a service in policies."""
    return _PREFIXES.get(service, service)
