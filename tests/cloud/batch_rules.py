"""The immediate refusals of Batch: the rules of its Create and Update calls, with its own words.

Nearly all are ClientException with status 400; a name that is taken is a 409. Where a comment says
"unconfirmed", the rule is documented and the text is ours: nobody has published it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import settings

if TYPE_CHECKING:
    from batch_world import Environment, Queue, Shape, World

NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
ARM_FAMILY = re.compile(r"(a1|[a-z]+\d+g[a-z]*|default_arm64)(\..*)?")
INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\d[a-z0-9-]*(\.[a-z0-9-]+)?|optimal|default_x86_64|default_arm64")
IMAGE_TYPES = {"ECS_AL2023", "ECS_AL2023_NVIDIA", "EKS_AL2023", "EKS_AL2023_NVIDIA"}
SPOT_ONLY = {"SPOT_CAPACITY_OPTIMIZED", "SPOT_PRICE_CAPACITY_OPTIMIZED", "SPOT_CAPACITY_OPTIMIZED_PRIORITIZED"}
STRATEGIES = SPOT_ONLY | {"BEST_FIT", "BEST_FIT_PROGRESSIVE", "BEST_FIT_PROGRESSIVE_ORDERED"}
SCALING = {"minvCpus", "maxvCpus", "desiredvCpus"}
TIME_LIMIT_REASONS = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
}


def refuse(text: str) -> NoReturn:
    """Ends the call with a ClientException."""
    settings.error("batch", "ClientException", text)


def taken() -> NoReturn:
    """Ends a Create whose name is in use, be it by something that is being deleted."""
    settings.error("batch", "ConflictException", "Object already exists", 409)


def missing(world: World, kind: str, name_or_arn: str | None) -> NoReturn:
    """Ends a call on something that is not there."""
    name = str(name_or_arn).split("/")[-1]
    refuse(f"{world.arn(kind, name)} does not exist")


def tags(given: dict[str, str] | None, present: dict[str, str] | None = None) -> dict[str, str]:
    """The tags after some are added: 50 at most, none of them AWS's own."""
    merged = {**(present or {}), **(given or {})}
    if len(merged) > 50:
        refuse("Cannot have more than 50 tags")
    if any(key.lower().startswith("aws:") for key in given or {}):
        refuse("aws: prefixed tag key names are not allowed for external use.")
    return merged


def state(given: str | None) -> None:
    """A state is one of two words."""
    if given not in (None, "ENABLED", "DISABLED"):
        refuse(f"state {given} must be one of [ENABLED, DISABLED]")


def new_environment(request: Shape) -> None:
    """Batch: the synchronous checks of CreateComputeEnvironment."""
    if not NAME.fullmatch(request.get("computeEnvironmentName") or ""):
        refuse("Compute environment name should match valid pattern.")  # unconfirmed
    state(request.get("state"))
    # Batch: a compute environment can only be created ENABLED.
    if request.get("state") == "DISABLED":
        refuse("Compute Environment must be created in ENABLED state.")
    if request.get("type") == "MANAGED":
        if not request.get("computeResources"):
            refuse("computeResources must be provided for a MANAGED compute environment")  # unconfirmed
        _resources(request["computeResources"])


def _resources(given: Shape) -> None:
    kind = given.get("type")
    if kind not in ("EC2", "SPOT", "FARGATE", "FARGATE_SPOT"):
        refuse(f"Compute resource type {kind} must be one of [EC2, SPOT, FARGATE, FARGATE_SPOT]")  # unconfirmed
    if not given.get("subnets"):
        refuse("Subnets are required.")  # unconfirmed
    if kind.startswith("FARGATE"):
        _fargate_resources(given)
    else:
        _ec2_resources(given)


def _fargate_resources(given: Shape) -> None:
    # Batch: an environment on Fargate has no instances to describe.
    allowed = {"type", "maxvCpus", "subnets", "securityGroupIds"}
    if other := sorted(set(given) - allowed):
        refuse(f"{', '.join(other)} should not be specified for Fargate compute resources.")  # unconfirmed
    if not given.get("securityGroupIds"):
        refuse("Security group ids are required.")
    # Batch API, ComputeResource: up to 16 subnets for Fargate. ECS API, AwsVpcConfiguration: 5 security groups.
    for field, limit in (("subnets", 16), ("securityGroupIds", 5)):
        if len(given[field]) > limit:
            refuse(f"{field} can contain up to {limit} entries for Fargate compute resources.")  # unconfirmed
    vcpus(given)


def _ec2_resources(given: Shape) -> None:
    kind, strategy = given["type"], given.get("allocationStrategy")
    if not given.get("instanceRole"):
        refuse("Instance role is required.")
    if not given.get("instanceTypes"):
        refuse("Resource instanceTypes are required.")
    if not given.get("securityGroupIds") and not given.get("launchTemplate"):
        refuse("Security group ids are required.")
    for instance_type in given["instanceTypes"]:
        if not INSTANCE_TYPE.fullmatch(instance_type):
            refuse(f"Instance type can only be one of [optimal, default_x86_64, m5, …], not {instance_type}")
    if len({arm(each) for each in given["instanceTypes"]}) > 1:
        refuse("arm-based instance type cannot be used with other instance types.")
    if strategy is not None and strategy not in STRATEGIES:
        refuse(f"Allocation strategy {strategy} is not valid.")  # unconfirmed
    if strategy in SPOT_ONLY and kind != "SPOT":
        refuse(f"Allocation strategy {strategy} requires compute resource type SPOT.")
    # Batch: only SPOT with BEST_FIT (which no strategy means) asks for spot instances by a spot fleet.
    if kind == "SPOT" and strategy in (None, "BEST_FIT") and not given.get("spotIamFleetRole"):
        refuse("compute resource spotIamFleetRole is required.")
    if not 0 <= given.get("bidPercentage", 100) <= 100:
        refuse("bidPercentage must be between 0 and 100.")  # unconfirmed
    tags(given.get("tags"))
    _image_types(given.get("ec2Configuration"))
    _launch_template(given.get("launchTemplate"))
    vcpus(given)


def vcpus(given: Shape) -> None:
    """The three vCPU limits fit each other."""
    low, high = given.get("minvCpus", 0), given.get("maxvCpus")
    if high is None:
        refuse("maxvCpus is required.")  # unconfirmed
    if low > high or low < 0:
        refuse("maxvCpus should be greater than or equal to minvCpus.")
    if not low <= given.get("desiredvCpus", low) <= high:
        refuse("desiredvCpus should be between minvCpus and maxvCpus.")


def _image_types(given: list[Shape] | None) -> None:
    if given is None:
        return
    if not 1 <= len(given) <= 2:
        refuse("ec2Configuration must have 1 or 2 entries.")  # unconfirmed
    for each in given:
        image_type = each.get("imageType", "")
        # Batch: Amazon Linux 2 is no longer taken for new environments.
        if image_type in ("ECS_AL2", "ECS_AL2_NVIDIA", "ECS_AL1"):
            refuse(
                "Amazon Linux 2 is end-of-life. Please see "
                "https://docs.aws.amazon.com/batch/latest/userguide/compute_resource_AMIs.html."
            )
        if image_type not in IMAGE_TYPES:
            refuse("Invalid imageType in ComputeResources.ec2Configuration")


def _launch_template(given: Shape | None) -> None:
    if given is None:
        return
    if bool(given.get("launchTemplateId")) == bool(given.get("launchTemplateName")):
        refuse("Either launchTemplateId or launchTemplateName must be specified, not both.")  # unconfirmed
    version = given.get("version", "")
    if not (version in ("", "$Default", "$Latest") or version.isdigit()):
        refuse("LaunchTemplateVersion must be either empty or a number or $Default or $Latest.")
    for override in given.get("overrides", []):
        if not override.get("targetInstanceTypes"):
            refuse("LaunchTemplate.overrides.targetInstanceTypes[] is required")


def arm(instance_type: str) -> bool:
    """Whether an instance type or family has Arm processors."""
    return ARM_FAMILY.fullmatch(instance_type) is not None


def environment_update(world: World, environment: Environment, request: Shape) -> None:
    """Batch: the synchronous checks of UpdateComputeEnvironment, which is a merge of the fields that are sent."""
    if environment.busy:
        refuse("Cannot update, resource is being modified.")
    state(request.get("state"))
    role = request.get("serviceRole")
    # Batch: an environment cannot go from the service-linked role to a role of its own, or back.
    if role and ("/aws-service-role/" in role) != environment.service_linked:
        refuse("Cannot switch between the Batch service-linked role and another service role.")  # unconfirmed
    given = request.get("computeResources") or {}
    infrastructure = sorted(set(given) - SCALING) + (["updatePolicy"] if request.get("updatePolicy") else [])
    if infrastructure:
        _infrastructure_update(environment, infrastructure, given)
    merged = {**environment.resources, **given}
    if environment.kind == "MANAGED":
        if environment.fargate and {"minvCpus", "desiredvCpus"} & set(given):
            refuse("minvCpus and desiredvCpus should not be specified for Fargate compute resources.")  # unconfirmed
        current = world.desired_vcpus(environment)
        if "desiredvCpus" in given and given["desiredvCpus"] < current:
            refuse("desiredvCpus cannot be less than the current desiredvCpus.")  # unconfirmed
        # Batch: a limit below the vCPUs that jobs hold is refused (HyP3's changelog of version 2.19.5).
        if not environment.fargate and "desiredvCpus" not in given:
            merged["desiredvCpus"] = max(current, merged.get("minvCpus", 0))
        vcpus(merged)


def _infrastructure_update(environment: Environment, fields: list[str], given: Shape) -> None:
    if environment.fargate and (other := [each for each in fields if each not in ("subnets", "securityGroupIds")]):
        refuse(f"The following parameters can't be updated for Fargate compute environment: {', '.join(other)}")
    # Batch: a dedicated service role makes every infrastructure field immutable, even where nothing changes.
    if not environment.service_linked:
        refuse(
            f"Following fields [{', '.join(fields)}] can be updated only for Non-fargate Compute Environment "
            "having a Batch Service Linked Role"
        )
    # Batch: no infrastructure update of a BEST_FIT environment, and none to BEST_FIT.
    before = environment.resources.get("allocationStrategy", "BEST_FIT")
    if not environment.fargate and "BEST_FIT" in (before, given.get("allocationStrategy", before)):
        refuse("Infrastructure updates are not supported for allocation strategy BEST_FIT.")  # unconfirmed


def queue_order(world: World, order: list[Shape] | None) -> list[Shape]:
    """A computeEnvironmentOrder, checked, with ARNs and sorted."""
    if not order:
        refuse("At least one compute environment is required.")  # unconfirmed
    if len(order) > world.clock.quota("environments_per_queue"):
        refuse("Only 3 environments are allowed in job queue request.")
    if len({each.get("order") for each in order}) < len(order):
        refuse("Duplicate ComputeEnvironment order values.")
    environments = []
    for each in order:
        environment = world.environment(each.get("computeEnvironment"))
        if environment is None:
            missing(world, "compute-environment", each.get("computeEnvironment"))
        environments.append(environment)
    if len({each.arn for each in environments}) < len(environments):
        refuse("Duplicate compute environments in the request.")  # unconfirmed
    if any(each.status != "VALID" for each in environments):
        refuse("Compute Environments must be created and valid before attaching them to a job queue")
    if len({each.fargate for each in environments}) > 1:
        refuse("Fargate and EC2 compute environments can not be mixed.")
    # Batch: one architecture per queue.
    if len({arm(kind) for each in environments for kind in each.resources.get("instanceTypes", [])}) > 1:
        refuse("Compute environments of different architectures cannot be mixed in a job queue.")  # unconfirmed
    arns = {each["order"]: environment.arn for each, environment in zip(order, environments, strict=True)}
    return [{"order": number, "computeEnvironment": arns[number]} for number in sorted(arns)]


def time_limits(given: list[Shape] | None) -> list[Shape]:
    """A queue's jobStateTimeLimitActions."""
    for each in given or []:
        if each.get("action") != "CANCEL":
            refuse("Invalid job action. Valid job actions: [CANCEL]")
        if each.get("state") != "RUNNABLE":
            refuse("Invalid job state. Valid job states: [RUNNABLE]")  # unconfirmed
        if not 600 <= each.get("maxTimeSeconds", 0) <= 86400:
            refuse("maxTimeSeconds must be between 600 and 86400.")  # unconfirmed
        if each.get("reason") not in TIME_LIMIT_REASONS:
            refuse(f"Invalid reason. Valid reasons: [{', '.join(sorted(TIME_LIMIT_REASONS))}]")  # unconfirmed
    return given or []


def scheduling_policy(world: World, known: Any, given: str | None, queue: Queue | None) -> str | None:
    """A queue's fair-share policy after a request."""
    if given is None:
        return queue.scheduling_policy if queue else None
    if queue is not None:
        # Batch: a policy can be replaced by another, never removed, and a FIFO queue never gets one.
        if not given:
            refuse("The scheduling policy of a job queue cannot be removed.")  # unconfirmed
        if queue.scheduling_policy is None:
            refuse("A scheduling policy cannot be added to a FIFO job queue.")  # unconfirmed
    if given and given not in known:
        missing(world, "scheduling-policy", given)
    return given or None


def deletable(thing: Any) -> None:
    """Batch: only a resource that is settled and DISABLED can be deleted."""
    if thing.busy:
        refuse("Cannot delete, resource is being modified.")
    if thing.state != "DISABLED":
        refuse("Cannot delete, resource must be DISABLED first.")  # unconfirmed
