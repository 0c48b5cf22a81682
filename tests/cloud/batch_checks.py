"""The errors that Batch finds only while it makes or changes a compute environment: it ends as INVALID with a reason.

Batch cannot check roles, profiles, templates and networks when it is called. It accepts them, tries, and
gives the error in statusReason; most of it is IAM that had not spread yet, which an update repairs.
"""

from __future__ import annotations

import base64
import email
import uuid
from typing import TYPE_CHECKING, Any

import ebs
import ec2
import iam_roles
import partitions
from moto.ec2.models import ec2_backends

if TYPE_CHECKING:
    from batch_world import Environment, Shape, World

USER_DATA_LIMIT = 16 * 1024

# Real accounts give many texts for a role, policy or profile that has not spread; each environment draws one of them.
# The last of each list is ours: no code knows it.
ROLE_LAGS = [
    "Not authorized to perform sts:AssumeRole (Service: AWSSecurityTokenService; Status Code: 403; "
    "Error Code: AccessDenied; Request ID: {request})",
    # outerbounds/terraform-aws-metaflow, issue 19.
    "User: arn:{partition}:sts::{account}:assumed-role/{name}/aws-batch is not authorized to perform: "
    "autoscaling:CreateAutoScalingGroup on resource: * because no identity-based policy allows the "
    "autoscaling:CreateAutoScalingGroup action",
    "Role {given} is not valid",
    "The security token included in the request is not known (Request ID: {request})",
]
PROFILE_LAGS = [
    # Netflix/metaflow-tools, issue 9.
    "Invalid IamInstanceProfile: {given}",
    # hashicorp/terraform-provider-aws, issues 24910 and 29866.
    "You must use a valid fully-formed launch template. Value ({name}) for parameter iamInstanceProfile.name is "
    "invalid. Invalid IAM Instance Profile name (Service: AmazonAutoScaling; Status Code: 400; Error Code: "
    "ValidationError; Request ID: {request})",
    "You must use a valid fully-formed launch template. Value ({given}) for parameter iamInstanceProfile.arn is "
    "invalid. Invalid IAM Instance Profile ARN (Service: AmazonAutoScaling; Status Code: 400; Error Code: "
    "ValidationError; Request ID: {request})",
    "The instances of {name} have no identity",
]


def environment(world: World, environment: Environment, at: float) -> str | None:
    """Why an environment that has just been made or changed is INVALID; None where it is VALID."""
    if why := service_role(world, environment, at):
        return why
    if environment.kind != "MANAGED":
        return None
    checks = [_subnets, _security_groups]
    if not environment.fargate:
        checks += [_instance_profile, _fleet_role, _key_pair]
        # Batch: evaluates the template when it makes the environment and in an infrastructure update, which only one
        # under the service-linked role can have; an update of limits or state does not look at it again.
        if environment.status == "CREATING" or environment.service_linked:
            checks.append(_launch_template)
    return next((why for check in checks if (why := check(world, environment, at))), None)


def service_role(world: World, environment: Environment, at: float) -> str | None:
    """Why Batch cannot act as the environment's service role."""
    if environment.service_linked:
        return None
    role = iam_roles.role_of(world.account_id, environment.service_role)
    # Batch: a role that is missing, that does not trust Batch, or whose path is not the one in the ARN.
    if role is None or not iam_roles.trusts(role, "batch.amazonaws.com"):
        return _lagging(world, ROLE_LAGS[:1], environment.service_role)
    if not iam_roles.seen(role, at):
        return _lagging(world, ROLE_LAGS, environment.service_role)
    # Batch: the same window again for the policy that was attached a moment ago.
    if lacking := iam_roles.refusal(role, "ecs:DescribeClusters", at):
        return (
            f"CLIENT_ERROR - User: arn:{partitions.of(world.region)}:sts::{world.account_id}:assumed-role/{role.name}/aws-batch is not "
            f"authorized to perform: ecs:DescribeClusters on resource: {cluster_arn(world, environment)} "
            f"because no {lacking} allows the ecs:DescribeClusters action"
        )
    return None


def can_run_jobs(world: World, environment: Environment) -> bool:
    """Whether jobs start in a VALID environment; if not, they stay RUNNABLE, and nothing says why."""
    if environment.fargate:
        # Seen with a service role of one's own (aws-cdk, issues 16717 and 17134). A seeded environment has none at all.
        role = iam_roles.role_of(world.account_id, environment.service_role)
        return environment.service_linked or role is None
    if not environment.resources:
        return True
    # EC2: assumes the instance role under its own name, which is another one in China.
    profile = iam_roles.profile_of(world.account_id, environment.resources["instanceRole"])
    service = f"ec2.{partitions.dns_suffix(world.region)}"
    if profile is not None and not all(iam_roles.trusts(role, service) for role in profile.roles):
        return False
    # EBS: with a key of the customer, whoever starts the instance needs rights to it (amazon-genomics-cli, issue 614).
    key = _key_of_volumes(world, environment)
    role = iam_roles.role_of(world.account_id, environment.service_role)
    return key is None or role is None or iam_roles.refusal(role, "kms:CreateGrant", world.clock.now()) is None


def _key_of_volumes(world: World, environment: Environment) -> str | None:
    """The customer's key that encrypts the root volume, None if there is none."""
    backend, wanted = _ec2(world), environment.resources.get("launchTemplate") or {}
    template_id = backend.launch_template_name_to_ids.get(wanted.get("launchTemplateName"))
    template = backend.launch_templates.get(wanted.get("launchTemplateId") or template_id)
    data = template.default_version().data if template else {}
    volumes = [each.get("Ebs") or {} for each in data.get("BlockDeviceMappings") or []] or [{}]
    for volume in volumes:
        if str(volume.get("Encrypted")).lower() == "true" or backend.ebs_encryption_by_default:
            key = volume.get("KmsKeyId") or ebs.default_key(world.account_id, world.region)
            return None if key.endswith(ebs.MANAGED_BY_AWS) else key
    return None


def role_gone(world: World, environment: Environment) -> str | None:
    """Why a VALID environment becomes INVALID: its service role does not exist any more."""
    if environment.service_linked or iam_roles.role_of(world.account_id, environment.service_role):
        return None
    return _lagging(world, ROLE_LAGS[:1], environment.service_role)


def cluster_arn(world: World, environment: Environment) -> str:
    """The ECS cluster that Batch owns: named after the environment under a role of its own."""
    name = "AWSBatch" if environment.service_linked else environment.name
    separator = f"-{environment.name}-" if environment.service_linked else "_Batch_"
    return f"arn:{partitions.of(world.region)}:ecs:{world.region}:{world.account_id}:cluster/{name}{separator}{environment.uuid}"


def _lagging(world: World, texts: list[str], given: str) -> str:
    text = world.clock.pick("iam_lag_text", texts)
    filled = text.format(given=given, name=given.split("/")[-1], account=world.account_id, request=uuid.uuid4(),
                         partition=partitions.of(world.region))
    return f"CLIENT_ERROR - {filled}"


def _instance_profile(world: World, environment: Environment, at: float) -> str | None:
    given = environment.resources["instanceRole"]
    profile = iam_roles.profile_of(world.account_id, given)
    # Batch: wants an instance profile; the ARN of a role is taken at first and found wrong later.
    if profile is None and ":instance-profile/" in given:
        return f"CLIENT_ERROR - Instance profile {given} does not exist"
    if profile is None or not profile.roles:
        return _lagging(world, PROFILE_LAGS[:1], given)
    return None if iam_roles.seen(profile, at) else _lagging(world, PROFILE_LAGS, given)


def _fleet_role(world: World, environment: Environment, at: float) -> str | None:
    # Batch: uses the fleet role only for SPOT with BEST_FIT.
    resources = environment.resources
    if resources["type"] != "SPOT" or resources.get("allocationStrategy", "BEST_FIT") != "BEST_FIT":
        return None
    role = iam_roles.role_of(world.account_id, resources["spotIamFleetRole"])
    if role is not None and iam_roles.trusts(role, "spotfleet.amazonaws.com") and iam_roles.seen(role, at):
        return None
    return (
        "CLIENT_ERROR - Parameter: SpotFleetRequestConfig.IamFleetRole is invalid. (Service: AmazonEC2; "
        f"Status Code: 400; Error Code: InvalidSpotFleetRequestConfig; Request ID: {uuid.uuid4()})"
    )


def _ec2(world: World) -> Any:
    return ec2_backends[world.account_id][world.region]


def _subnets(world: World, environment: Environment, at: float) -> str | None:
    known = {subnet_id: subnet for zone in _ec2(world).subnets.values() for subnet_id, subnet in zone.items()}
    for subnet in environment.resources.get("subnets", []):
        if subnet not in known:
            return f"CLIENT_ERROR - The subnet ID '{subnet}' does not exist"
        # Batch API, ComputeResource: "Batch on Fargate doesn't currently support Local Zones." The text is unconfirmed.
        if environment.fargate and ec2.is_edge(known[subnet]):
            return f"CLIENT_ERROR - The subnet '{subnet}' is in a zone that Fargate does not support"
    return None


def _security_groups(world: World, environment: Environment, at: float) -> str | None:
    known = {group_id for vpc in _ec2(world).groups.values() for group_id in vpc}
    for group in environment.resources.get("securityGroupIds", []):
        if group not in known:
            return f"CLIENT_ERROR - The security group '{group}' does not exist"
    return None


def _key_pair(world: World, environment: Environment, at: float) -> str | None:
    name = environment.resources.get("ec2KeyPair")
    if name and name not in _ec2(world).key_pairs:
        return f"CLIENT_ERROR - The key pair '{name}' does not exist"
    return None


def _launch_template(world: World, environment: Environment, at: float) -> str | None:
    """Batch copies the template when it makes the environment; the errors in it show then, and stay."""
    why = _template_fault(world, environment, at)
    if not environment.service_linked:
        environment.broken = why
    return why


def _template_fault(world: World, environment: Environment, at: float) -> str | None:
    wanted = environment.resources.get("launchTemplate")
    if not wanted:
        return None
    backend, name = _ec2(world), wanted.get("launchTemplateName")
    template_id = wanted.get("launchTemplateId") or backend.launch_template_name_to_ids.get(name)
    template = backend.launch_templates.get(template_id)
    # EC2 is eventually consistent: its documentation says that a new resource may not be found at once.
    if template is not None and not hasattr(template, "seen_from"):
        template.seen_from = at + world.clock.duration("template_lag", template.name)
    if template is None or not iam_roles.seen(template, at):
        kind = "template ID" if wanted.get("launchTemplateId") else "template name"
        return f"CLIENT_ERROR - The specified launch template, with {kind} {template_id or name}, does not exist."
    number = str(wanted.get("version") or "$Default")
    if number.isdigit() and int(number) > len(template.versions):
        return f"CLIENT_ERROR - The specified launch template version, {number}, does not exist."
    data = template.get_version(number).data
    return _root_volume(world, environment, data) or user_data_fault(data.get("UserData"), template.id)


def _root_volume(world: World, environment: Environment, data: Shape) -> str | None:
    """Why instances of the environment's image could not start with the volumes of a template.

    zalando-incubator/kubernetes-on-aws #3817 has the text, of a real account. A mapping of another device than the
    image's root is a further volume, and no error.
    """
    configuration = environment.resources.get("ec2Configuration") or [{}]
    image_id = configuration[0].get("imageIdOverride")
    known = ec2.images(world.account_id, world.region)
    if image_id is not None and image_id not in known:
        return _not_well_formed(f"The image id '[{image_id}]' does not exist")
    image = known[image_id] if image_id else ec2.ECS_IMAGE
    for mapping in data.get("BlockDeviceMappings") or []:
        size = int(mapping.get("Ebs", {}).get("VolumeSize", image.size))
        if mapping["DeviceName"] == image.root and size < image.size:
            return _not_well_formed(
                f"Volume of size {size}GB is smaller than snapshot '{image.snapshot}', expect size >= {image.size}GB"
            )
    return None


def _not_well_formed(text: str) -> str:
    """What EC2 Auto Scaling finds wrong with a launch template, as Batch passes it on."""
    return (
        f"CLIENT_ERROR - You must use a valid fully-formed launch template. {text} (Service: AmazonAutoScaling; "
        f"Status Code: 400; Error Code: ValidationError; Request ID: {uuid.uuid4()}; Proxy: null)"
    )


def user_data_fault(encoded: str | None, template_id: str) -> str | None:
    """Why instances could not boot with this user data: Batch takes MIME multi-part only, of 16 KiB at most."""
    if not encoded:
        return None
    raw = base64.b64decode(str(encoded))
    if len(raw) > USER_DATA_LIMIT:
        return f"CLIENT_ERROR - User data is limited to {USER_DATA_LIMIT} bytes (launch template {template_id})"
    message = email.message_from_bytes(raw)
    parts = message.get_payload()
    known = {"text/cloud-boothook", "text/x-shellscript", "text/cloud-config"}
    if (
        message.defects
        or not message.is_multipart()
        or not parts
        or message.get_content_type() != "multipart/mixed"
        or any(part.get_content_type() not in known or part.defects for part in parts)
    ):
        return (
            "CLIENT_ERROR - Your compute environment has been INVALIDATED and scaled down because none of the "
            f"instances joined the underlying ECS Cluster. The user data of launch template {template_id} is not "
            "a MIME multi-part archive."
        )
    return None
