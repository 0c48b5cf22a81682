"""EC2, as far as launch templates and networks go: where moto differs, this does as EC2 does.

moto ignores ClientToken, answers the deletion of a missing template with MissingParameter, forgets tags that
are added later, cuts lists off without a token, and mixes a template's own tags into its data.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import batch_world
import accounts
import ebs
import partitions
import settings
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import EC2Backend
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupBackend, SecurityGroupRule
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

Shape = dict[str, Any]

NAME = re.compile(r"[a-zA-Z0-9()./_-]{3,128}")
PAGE = 200


def own_subnet(backend: EC2Backend, vpc_id: str, cidr: str, zone: str) -> Subnet:
    """A subnet that its account has created. Only a default subnet of the default VPC is the default of its zone (Amazon VPC
    User Guide, "Default subnets"); for moto the first subnet in a zone is one in any VPC."""
    subnet = backend.create_subnet(vpc_id, cidr, availability_zone=zone)
    subnet.default_for_az = False
    return subnet


@dataclass(frozen=True)
class Image:
    """An image: its architecture, and the root device with the size of its snapshot in GiB."""

    architecture: str = "x86_64"
    root: str = "/dev/xvda"
    size: int = 30
    # The owner's account, if it is another one, and EC2's name for it.
    owner: str | None = None
    alias: str | None = None

    @property
    def snapshot(self) -> str:
        """The ID of the root device's snapshot."""
        return f"snap-{zlib.crc32(f'{self.root} {self.size}'.encode()):017x}"


# AWS Batch, "Compute resource AMIs", and Amazon ECS, "Amazon ECS-optimized AMIs": the images for Amazon Linux 2023 have
# one volume, /dev/xvda, of 30 GiB.
ECS_IMAGE = Image()
# Images that every account sees without seeding any: one of each architecture.
IMAGES = {"ami-0123456789abcdef0": Image(), "ami-0fedcba9876543210": Image("arm64")}

# EC2 User Guide, "Local Zones" and "Wavelength Zones": the code of such a zone is that of its Region with a location, and
# an Availability Zone's is that of its Region with a letter. Only subnets that a test seeds are in these.
EDGE_ZONES = [
    Zone(region_name="eu-west-1", name="eu-west-1-lab-1a", zone_id="euw1-lab1-az1", zone_type="local-zone"),
    Zone(region_name="eu-west-1", name="eu-west-1-wl1-lab-wlz-1", zone_id="euw1-wl1-lab-wlz1", zone_type="wavelength-zone"),
    Zone(region_name="us-east-1", name="us-east-1-lab-1a", zone_id="use1-lab1-az1", zone_type="local-zone"),
]

# The answers of CreateLaunchTemplate to a token, per account and region.
_tokens: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
_images: dict[tuple[str, str], dict[str, Image]] = {}


def install() -> None:
    """Puts these calls in the place of moto's."""
    for handler in (create_launch_template, delete_launch_template, describe_launch_templates):
        setattr(LaunchTemplates, handler.__name__, handler)
    # On one of the classes of which moto makes its EC2.
    LaunchTemplates.get_ebs_default_kms_key_id = ebs.get_ebs_default_kms_key_id  # type: ignore[attr-defined]
    AmisResponse.describe_images = describe_images  # type: ignore[method-assign]
    moto = SecurityGroupBackend.create_security_group

    def create_security_group(self: SecurityGroupBackend, *args: Any, **kwargs: Any) -> SecurityGroup:
        """EC2: the default group of every VPC lets its own members reach each other."""
        group = moto(self, *args, **kwargs)
        if group.is_default:
            source = {"GroupId": group.id, "UserId": self.account_id}
            rule = SecurityGroupRule(self, "-1", group.id, None, None, None, source, is_egress=False)
            group.add_ingress_rule(rule)
        return group

    SecurityGroupBackend.create_security_group = create_security_group  # type: ignore[method-assign]
    # No region has this name, so that no default subnet is in these zones.
    RegionsAndZonesBackend.zones["edge"] = EDGE_ZONES
    # The first one reads moto's tables of instance types; better now than in the first call.
    EC2Backend("us-east-1", "000000000000")


def reset(account_id: str) -> None:
    """Empties an account."""
    for kept in (_tokens, _images):
        for key in [key for key in list(kept) if key[0] == account_id]:
            del kept[key]
    ebs.forget(account_id)


def create_launch_template(self: LaunchTemplates) -> ActionResult:
    """CreateLaunchTemplate: the same token answers with the same template."""
    name, token = self._get_param("LaunchTemplateName"), self._get_param("ClientToken")
    data, tags = self._get_param("LaunchTemplateData", {}), self._parse_tag_specification()
    tokens = _tokens.setdefault((self.current_account, self.region), {})
    asked = json.dumps([name, data, tags], sort_keys=True, default=str)
    if token in tokens:
        if tokens[token][0] != asked:
            _error(
                "IdempotentParameterMismatch",
                "Client token already used before with different parameters.",
            )
        if template := self.ec2_backend.launch_templates.get(tokens[token][1]):
            return ActionResult({"LaunchTemplate": _shown(self, template)})
    if not NAME.fullmatch(name):
        _error(
            "InvalidLaunchTemplateName.MalformedException",
            "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and "
            "the following characters: - ( ) . / _",
        )
    if name in self.ec2_backend.launch_template_name_to_ids:
        _error("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
    data["UserData"] = parse_user_data(self._get_param("LaunchTemplateData.UserData"))
    template = self.ec2_backend.create_launch_template(name, self._get_param("VersionDescription"), data, tags)
    # Every call over the wire is the function's; what others have is seeded.
    role = accounts.function_role(self.region)
    template.created_by = f"sts::{self.current_account}:assumed-role/{role}/TowerForge-handler"  # type: ignore[attr-defined]
    if token:
        tokens[token] = (asked, template.id)
    return ActionResult({"LaunchTemplate": _shown(self, template)})


def delete_launch_template(self: LaunchTemplates) -> ActionResult:
    """DeleteLaunchTemplate: all versions; that an environment uses it does not matter to EC2."""
    name, template_id = self._get_param("LaunchTemplateName"), self._get_param("LaunchTemplateId")
    template = _found(self, [name] if name else [], [template_id] if template_id else [])[0]
    shown = _shown(self, template)
    # An environment that has been made by now has copied its template, whether anybody had looked or not.
    batch_world.all_of(self.current_account)
    self.ec2_backend.delete_launch_template(template.name, None)
    return ActionResult({"LaunchTemplate": shown})


def describe_launch_templates(self: LaunchTemplates) -> ActionResult:
    """DescribeLaunchTemplates: by names or ids, each of which must exist, or by filters with wildcards."""
    names, ids = self._get_param("LaunchTemplateNames", []), self._get_param("LaunchTemplateIds", [])
    backend = self.ec2_backend
    templates = _found(self, names, ids) if names or ids else list(backend.launch_templates.values())
    filters = self._filters_from_querystring() or {}
    chosen = [each for each in templates if all(_matches(each, name, filters[name]) for name in filters)]
    start, size = int(self._get_param("NextToken") or 0), self._get_int_param("MaxResults", PAGE)
    result: Shape = {"LaunchTemplates": [_shown(self, each) for each in chosen[start : start + size]]}
    if start + size < len(chosen):
        result["NextToken"] = str(start + size)
    return ActionResult(result)


def describe_images(self: AmisResponse) -> ActionResult:
    """DescribeImages: only by id, only the fields of an image that a template needs."""
    known = images(self.current_account, self.region)
    asked = self._get_param("ImageIds", [])
    for image_id in asked:
        if image_id not in known:
            _error("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    shown = [
        {
            "ImageId": image_id,
            "Architecture": image.architecture,
            "State": "available",
            "OwnerId": image.owner or self.current_account,
            **({"ImageOwnerAlias": image.alias} if image.alias else {}),
            "Name": image_id,
            "CreationDate": utcnow(),
            "RootDeviceName": image.root,
            "RootDeviceType": "ebs",
            "VirtualizationType": "hvm",
            # EC2: an image may list instance store volumes, which have no Ebs.
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
                {
                    "DeviceName": image.root,
                    "Ebs": {"SnapshotId": image.snapshot, "VolumeSize": image.size, "DeleteOnTermination": True},
                },
            ],
        }
        for image_id, image in known.items()
        if not asked or image_id in asked
    ]
    return ActionResult({"Images": shown})


def images(account_id: str, region: str) -> dict[str, Image]:
    """All images that an account can use."""
    return IMAGES | _images.get((account_id, region), {})


def is_edge(subnet: Any) -> bool:
    """Whether a subnet is in a Local or Wavelength Zone, where most services are not."""
    return subnet.availability_zone in {zone.name for zone in EDGE_ZONES}


def add_image(account_id: str, region: str, image_id: str, image: Image) -> None:
    """Makes an image exist: for seeded images."""
    _images.setdefault((account_id, region), {})[image_id] = image


def remove_image(account_id: str, region: str, image_id: str) -> None:
    """Deregisters a seeded image."""
    del _images[account_id, region][image_id]


def _found(response: LaunchTemplates, names: list[str], ids: list[str]) -> list[LaunchTemplate]:
    backend, found = response.ec2_backend, []
    for name in names:
        if name not in backend.launch_template_name_to_ids:
            _error(
                "InvalidLaunchTemplateName.NotFoundException",
                f"The specified launch template, with template name {name}, does not exist.",
            )
        found.append(backend.launch_templates[backend.launch_template_name_to_ids[name]])
    for template_id in ids:
        if template_id not in backend.launch_templates:
            _error(
                "InvalidLaunchTemplateId.NotFound",
                f"The specified launch template, with template ID {template_id}, does not exist.",
            )
        found.append(backend.launch_templates[template_id])
    if not names and not ids:
        _error("MissingParameter", "The request must contain the parameter launch template ID or launch template name")
    return found


def _matches(template: LaunchTemplate, name: str, values: list[str]) -> bool:
    tags = tags_of(template)
    if name.startswith("tag:"):
        have = [tags[name[4:]]] if name[4:] in tags else []
    elif name == "tag-key":
        have = list(tags)
    elif name == "launch-template-name":
        have = [template.name]
    else:
        _error("InvalidParameterValue", f"The filter '{name}' is invalid")
    return any(_wild(value).fullmatch(each) for value in values for each in have)


def _wild(pattern: str) -> re.Pattern[str]:
    # EC2: `*` and `?` are wildcards in the values of a filter.
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def tags_of(thing: Any) -> dict[str, str]:
    """The tags of something of EC2's, those that were added later included."""
    return {each["key"]: each["value"] for each in thing.get_tags()}


def _shown(response: LaunchTemplates, template: LaunchTemplate) -> Shape:
    return {
        "CreateTime": template.create_time,
        "CreatedBy": f"arn:{partitions.of(response.region)}:{getattr(template, 'created_by', None) or f'iam::{response.current_account}:user/Ada'}",
        "DefaultVersionNumber": template.default_version_number,
        "LatestVersionNumber": template.latest_version_number,
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Tags": [{"Key": key, "Value": value} for key, value in tags_of(template).items()],
    }


def _error(code: str, message: str) -> None:
    settings.error("ec2", code, message)
